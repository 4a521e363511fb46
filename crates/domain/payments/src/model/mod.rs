//! What a payment is, and every decision about it, as pure functions.

mod decide;
mod gateway;
mod ledger;
mod payment;
mod people;
mod progress;
mod refs;
mod refunds;
mod review;
mod rules;
mod task;
mod timeline;
mod unclaimed;
mod visit;

pub use decide::{
    Due, Settlement, due, look_at, next_poll, notice, poll_wanted, refund_for_cancellation, wanted_tasks,
};
pub use gateway::{
    Checkout, GatewayPayment, GatewayRefund, NewOrder, NewRefund, Order, PaymentSighting, RefundState, SettledPage,
    Webhook, WebhookNews,
};
pub use ledger::{Account, Entry, Journal, JournalKind, Line, Move, Unbalanced};
pub use payment::{
    Capture, InvalidTransition, MoneyState, Parties, Payment, Refund, RefundReason, RefundStep, Review, Ruling, Unknown,
};
pub use progress::{Progress, Step};
pub use refs::{GatewayEventId, GatewayName, GatewayPaymentRef, GatewayRefundRef, InvalidRef, OrderRef};
pub use review::{Choice, ReviewReason};
pub use rules::{PaymentRules, RefundPolicy, RefundTier};
pub use task::{GatewayTask, TaskEnd, TaskKind};
pub use timeline::{Evidence, PaymentEntry, StepKind};
pub use unclaimed::unclaimed;
pub use visit::{Side, Visit, VisitFate};
