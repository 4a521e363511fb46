//! The use cases over the memory adapters.
#![expect(clippy::unwrap_used, reason = "tests")]

mod dead_letters;
mod reviews;

use amrutam_identity::PolicyTable;
use amrutam_kernel::{
    AccountId, Actor, Clock, Context, CorrelationId, Currency, Role, SecondFactor, SessionId, SignIn,
};
use amrutam_memory::{FakeSealer, ManualClock, MemoryWorld, SeededIds, VirtualPause};
use amrutam_operations::{model::ApprovalLimits, use_cases::Deps};
use std::sync::Arc;
use uuid::Uuid;

struct Desk {
    world: Arc<MemoryWorld>,
    clock: Arc<ManualClock>,
    ids: SeededIds,
    pause: VirtualPause,
    sealer: FakeSealer,
    limits: ApprovalLimits,
}

impl Desk {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at("2026-11-23T03:30:00Z".parse().unwrap()));
        Self {
            world: Arc::new(MemoryWorld::new(clock.clone())),
            pause: VirtualPause::new(clock.clone()),
            clock,
            ids: SeededIds::new(7),
            sealer: FakeSealer::new(),
            limits: ApprovalLimits::new([(Currency::Inr, 1_000_000)]),
        }
    }

    fn deps(&self) -> Deps<'_> {
        Deps {
            letters: &*self.world,
            reviews: &*self.world,
            history: &*self.world,
            sealer: &self.sealer,
            policy: &PolicyTable,
            clock: &*self.clock,
            ids: &self.ids,
            pause: &self.pause,
            limits: &self.limits,
        }
    }

    /// Somebody whose second factor was just shown.
    fn person(&self, number: u128, role: Role) -> Context {
        let sign_in = SignIn {
            session: SessionId::from_uuid(Uuid::from_u128(number)),
            second_factor_at: Some(self.clock.now()),
            second_factor: SecondFactor::Enrolled,
        };
        Context {
            actor: Actor::Account { id: AccountId::from_uuid(Uuid::from_u128(number)), role },
            sign_in: Some(sign_in),
            correlation_id: CorrelationId::from(Uuid::from_u128(number)),
            trace_parent: None,
            origin: None,
        }
    }

    fn admin(&self) -> Context {
        self.person(1, Role::Admin)
    }

    fn operator(&self) -> Context {
        Context { actor: Actor::System("amrutamctl"), sign_in: None, ..self.admin() }
    }

    /// The deeds on record, each with how it ended.
    fn deeds(&self) -> Vec<String> {
        let entries = self.world.audit();
        entries.iter().map(|entry| format!("{} {}", entry.action, entry.outcome.as_str())).collect()
    }
}
