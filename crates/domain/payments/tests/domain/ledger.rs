//! Double entry.

use super::*;
use amrutam_kernel::{ConsultationId, JournalId};
use amrutam_payments::model::{
    Account, Entry, Evidence, GatewayPayment, Journal, JournalKind, Line, Move, PaymentSighting, Unbalanced, unclaimed,
};
use proptest::prelude::*;
use uuid::Uuid;

fn line(entry: Entry, amount: Money) -> Line {
    Line { account: Account::PatientDeposits, entry, amount }
}

fn journal(lines: Vec<Line>) -> Result<Journal, Unbalanced> {
    let payment = PaymentId::of(ConsultationId::from_uuid(Uuid::nil()));
    Journal::new(JournalId::from_uuid(Uuid::nil()), payment, JournalKind::Capture, at(0), Evidence::Answer, lines)
}

#[test]
fn what_does_not_balance_can_not_be_made() {
    let dollars = Money::new(100, Currency::Usd).unwrap();
    assert!(journal(vec![line(Entry::Debit, rupees(1)), line(Entry::Credit, rupees(1))]).is_ok());
    for lines in [
        vec![],
        vec![line(Entry::Debit, rupees(1))],
        vec![line(Entry::Debit, rupees(1)), line(Entry::Credit, rupees(2))],
        vec![line(Entry::Debit, rupees(1)), line(Entry::Credit, dollars)],
        vec![line(Entry::Debit, rupees(0)), line(Entry::Credit, rupees(0))],
        vec![line(Entry::Debit, rupees(1)), line(Entry::Credit, rupees(1)), line(Entry::Debit, dollars)],
    ] {
        assert_eq!(journal(lines.clone()), Err(Unbalanced), "{lines:?}");
    }
}

#[test]
fn every_account_reads_back() {
    let accounts = [
        Account::GatewayReceivable("razorpay".parse().unwrap()),
        Account::PatientDeposits,
        Account::RefundsPayable,
        Account::FeesEarned,
        Account::CancellationFees,
        Account::PaidElsewhere,
        Account::WriteOffs,
    ];
    for account in accounts {
        assert_eq!(account.to_string().parse(), Ok(account));
    }
    for word in ["", "gateway_receivable", "gateway_receivable:", "gateway_receivable:X", "cash"] {
        assert!(word.parse::<Account>().is_err(), "{word}");
    }
}

proptest! {
    #[test]
    fn lines_are_a_journal_exactly_when_each_currency_balances(
        lines in proptest::collection::vec((any::<bool>(), 1_i64..5, any::<bool>()), 1..6)
    ) {
        let currency = |inr: bool| if inr { Currency::Inr } else { Currency::Eur };
        let made: Vec<_> = lines
            .iter()
            .map(|(debit, amount, inr)| {
                let entry = if *debit { Entry::Debit } else { Entry::Credit };
                line(entry, Money::new(*amount, currency(*inr)).unwrap())
            })
            .collect();
        let sum = |wanted: bool| -> i64 {
            let own = lines.iter().filter(|(_, _, inr)| *inr == wanted);
            own.map(|(debit, amount, _)| if *debit { *amount } else { -*amount }).sum()
        };
        prop_assert_eq!(journal(made).is_ok(), sum(true) == 0 && sum(false) == 0);
    }

    #[test]
    fn every_move_balances(amount in 1_i64..=Money::MAX_MINOR) {
        let amount = Money::new(amount, Currency::Inr).unwrap();
        let gateway = "fake".parse().unwrap();
        let seen = GatewayPayment {
            reference: "pay_1".parse().unwrap(),
            order: None,
            payment: None,
            amount,
            refunded: Money::zero(amount.currency()),
            state: PaymentSighting::Captured,
            at: at(0),
        };
        let payment = unclaimed(&gateway, &seen, at(0));
        let moves = [
            Move::refund_decided(&payment, amount), Move::refund_processed(&gateway, amount), Move::earned(amount),
            Move::unclaimed_written_off(amount),
            Move::retained(amount), Move::paid_elsewhere(amount), Move::written_off(&gateway, amount),
        ];
        for moved in moves {
            prop_assert!(journal(moved.lines()).is_ok());
        }
    }
}
