//! Who may do what: one table, and the default is no.
//!
//! A cell says with which relation to the thing the role may do the action, and how much it sees. A role that may with some
//! relation and meets another gets [`Denial::Hidden`]; a role that never may gets [`Denial::Forbidden`].

use amrutam_kernel::{Action, Actor, Context, Denial, Policy, Relation, Role, SecondFactor, Sight};
use jiff::Timestamp;

/// One cell: what is seen of one's own, of what one treats, and of everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    own: Option<Sight>,
    treating: Option<Sight>,
    other: Option<Sight>,
}

const NO: Cell = Cell { own: None, treating: None, other: None };
const OWN: Cell = Cell { own: Some(Sight::Full), ..NO };
const TREATING: Cell = Cell { treating: Some(Sight::Full), ..OWN };
const ANY: Cell = Cell { own: Some(Sight::Full), treating: Some(Sight::Full), other: Some(Sight::Full) };
/// One's own whole, all others' masked.
const MASKED: Cell = Cell { own: Some(Sight::Full), treating: Some(Sight::Masked), other: Some(Sight::Masked) };
/// Own numbers only.
const OWN_SUMS: Cell = Cell { own: Some(Sight::Aggregated), ..NO };
const SUMS: Cell =
    Cell { own: Some(Sight::Aggregated), treating: Some(Sight::Aggregated), other: Some(Sight::Aggregated) };

/// One row, a cell per column.
struct Row {
    patient: Cell,
    doctor: Cell,
    support: Cell,
    admin: Cell,
    auditor: Cell,
    /// Parts of the system itself, the operator's command line among them.
    system: Cell,
    /// Nobody signed in.
    anyone: Cell,
}

#[rustfmt::skip]
const fn row(action: Action) -> Row {
    const fn r(patient: Cell, doctor: Cell, support: Cell, admin: Cell, auditor: Cell, system: Cell, anyone: Cell) -> Row {
        Row { patient, doctor, support, admin, auditor, system, anyone }
    }
    match action {
        //                                    patient   doctor    support   admin     auditor   system    anyone
        Action::ProfileRead            => r(  OWN,      TREATING, MASKED,   MASKED,   OWN,      ANY,      NO  ),
        Action::ProfileUpdate          => r(  OWN,      OWN,      OWN,      OWN,      OWN,      NO,       NO  ),
        Action::PasswordChange         => r(  OWN,      OWN,      OWN,      OWN,      OWN,      NO,       NO  ),
        Action::AccountErase           => r(  OWN,      NO,       NO,       NO,       NO,       ANY,      NO  ),
        Action::AccountDeactivate      => r(  OWN,      OWN,      OWN,      ANY,      OWN,      ANY,      NO  ),
        Action::StaffInvite            => r(  NO,       NO,       NO,       ANY,      NO,       ANY,      NO  ),
        Action::SessionList            => r(  OWN,      OWN,      OWN,      OWN,      OWN,      NO,       NO  ),
        Action::SessionEnd             => r(  OWN,      OWN,      ANY,      ANY,      OWN,      ANY,      NO  ),
        Action::StepUp                 => r(  OWN,      OWN,      OWN,      OWN,      OWN,      NO,       NO  ),
        Action::FactorEnrol            => r(  OWN,      OWN,      OWN,      OWN,      OWN,      NO,       NO  ),
        Action::FactorChange           => r(  OWN,      OWN,      OWN,      OWN,      OWN,      NO,       NO  ),
        Action::FactorRemove           => r(  OWN,      OWN,      OWN,      OWN,      OWN,      NO,       NO  ),
        Action::FactorEnd              => r(  NO,       NO,       ANY,      ANY,      NO,       ANY,      NO  ),
        Action::SlotRead               => r(  ANY,      ANY,      ANY,      ANY,      ANY,      ANY,      ANY ),
        Action::AvailabilityManage     => r(  NO,       OWN,      NO,       ANY,      NO,       ANY,      NO  ),
        Action::DoctorRead             => r(  NO,       OWN,      NO,       ANY,      NO,       ANY,      NO  ),
        Action::DoctorCreate           => r(  NO,       OWN,      NO,       ANY,      NO,       ANY,      NO  ),
        Action::DoctorUpdate           => r(  NO,       OWN,      NO,       ANY,      NO,       NO,       NO  ),
        Action::DoctorVerify           => r(  NO,       NO,       NO,       ANY,      NO,       ANY,      NO  ),
        Action::DoctorSuspend          => r(  NO,       NO,       NO,       ANY,      NO,       ANY,      NO  ),
        Action::ConsultationBook       => r(  OWN,      NO,       NO,       NO,       NO,       NO,       NO  ),
        Action::ConsultationRead       => r(  OWN,      OWN,      MASKED,   MASKED,   NO,       MASKED,   NO  ),
        Action::ConsultationCancel     => r(  OWN,      OWN,      NO,       MASKED,   NO,       MASKED,   NO  ),
        Action::ConsultationReschedule => r(  OWN,      NO,       NO,       NO,       NO,       MASKED,   NO  ),
        Action::ConsultationStart      => r(  NO,       OWN,      NO,       NO,       NO,       MASKED,   NO  ),
        Action::ConsultationComplete   => r(  NO,       OWN,      NO,       NO,       NO,       MASKED,   NO  ),
        Action::ConsultationEnd        => r(  OWN,      OWN,      NO,       NO,       NO,       NO,       NO  ),
        Action::ConsultationMode       => r(  OWN,      OWN,      NO,       NO,       NO,       NO,       NO  ),
        Action::ConsultationNoShow     => r(  OWN,      OWN,      NO,       NO,       NO,       MASKED,   NO  ),
        Action::ConsultationConfirm    => r(  NO,       NO,       NO,       NO,       NO,       MASKED,   NO  ),
        Action::ConsultationRelease    => r(  NO,       NO,       NO,       NO,       NO,       MASKED,   NO  ),
        Action::ConsultationExpire     => r(  NO,       NO,       NO,       NO,       NO,       MASKED,   NO  ),
        Action::RecordRead             => r(  OWN,      TREATING, NO,       NO,       NO,       NO,       NO  ),
        Action::RecordWrite            => r(  NO,       OWN,      NO,       NO,       NO,       NO,       NO  ),
        Action::RecordBreakGlass       => r(  NO,       ANY,      NO,       NO,       NO,       NO,       NO  ),
        Action::RecordExport           => r(  OWN,      OWN,      OWN,      OWN,      OWN,      NO,       NO  ),
        Action::ExportRead             => r(  OWN,      OWN,      OWN,      OWN,      OWN,      NO,       NO  ),
        Action::RecordHold             => r(  NO,       NO,       NO,       NO,       NO,       ANY,      NO  ),
        Action::ErasureRead            => r(  NO,       NO,       NO,       ANY,      ANY,      NO,       NO  ),
        Action::PrescriptionSign       => r(  NO,       OWN,      NO,       NO,       NO,       NO,       NO  ),
        Action::ConsentRecord          => r(  OWN,      OWN,      NO,       NO,       NO,       NO,       NO  ),
        Action::FormularyRead          => r(  NO,       ANY,      NO,       NO,       NO,       NO,       NO  ),
        Action::DependantManage        => r(  OWN,      NO,       NO,       NO,       NO,       NO,       NO  ),
        Action::PaymentRead            => r(  OWN,      NO,       ANY,      ANY,      ANY,      ANY,      NO  ),
        Action::PaymentMake            => r(  OWN,      NO,       NO,       NO,       NO,       NO,       NO  ),
        Action::RefundApprove          => r(  NO,       NO,       NO,       ANY,      NO,       NO,       NO  ),
        Action::AuditRead              => r(  OWN,      NO,       NO,       NO,       ANY,      NO,       NO  ),
        Action::ReportRead             => r(  NO,       OWN_SUMS, NO,       SUMS,     ANY,      ANY,      NO  ),
        Action::OperationsRead         => r(  NO,       NO,       MASKED,   ANY,      NO,       ANY,      NO  ),
        Action::OperationsManage       => r(  NO,       NO,       NO,       ANY,      NO,       ANY,      NO  ),
        Action::KeysDestroy            => r(  NO,       NO,       NO,       NO,       NO,       ANY,      NO  ),
        Action::KeysManage             => r(  NO,       NO,       NO,       NO,       NO,       ANY,      NO  ),
    }
}

/// What may be done without the second factor that the account lacks, or that the session never showed: set one up, and leave.
const fn open_without_factor(action: Action, relation: Relation) -> bool {
    matches!(action, Action::FactorEnrol | Action::SessionEnd) && matches!(relation, Relation::Own)
}

/// Answers from the table, then asks for the second factor.
pub(crate) fn decide(context: &Context, action: Action, relation: Relation, now: Timestamp) -> Result<Sight, Denial> {
    let row = row(action);
    let cell = match context.actor {
        Actor::Account { role: Role::Patient, .. } => row.patient,
        Actor::Account { role: Role::Doctor, .. } => row.doctor,
        Actor::Account { role: Role::Support, .. } => row.support,
        Actor::Account { role: Role::Admin, .. } => row.admin,
        Actor::Account { role: Role::Auditor, .. } => row.auditor,
        Actor::System(_) => row.system,
        Actor::Anonymous => row.anyone,
    };
    let sight = match relation {
        Relation::Own => cell.own,
        Relation::Treating => cell.treating,
        Relation::None => cell.other,
    };
    let Some(sight) = sight else {
        return Err(match context.actor {
            Actor::Anonymous => Denial::NotSignedIn,
            _ if cell == NO => Denial::Forbidden,
            _ => Denial::Hidden,
        });
    };
    // What anybody may, nobody needs a factor for.
    if row.anyone != NO {
        return Ok(sight);
    }
    if context.actor.account().is_some() {
        second_factor(context, action, relation, now)?;
    }
    Ok(sight)
}

fn second_factor(context: &Context, action: Action, relation: Relation, now: Timestamp) -> Result<(), Denial> {
    // A person without a session came in past the gate: nothing is known of their factor.
    let sign_in = context.sign_in.ok_or(Denial::NotSignedIn)?;
    if sign_in.second_factor == SecondFactor::Missing && !open_without_factor(action, relation) {
        return Err(Denial::SecondFactorRequired);
    }
    // A session from before the factor was set up elsewhere: a password alone does not make it as good as those that showed it.
    let never_shown = sign_in.second_factor == SecondFactor::Enrolled && sign_in.second_factor_at.is_none();
    if never_shown && action != Action::StepUp && !open_without_factor(action, relation) {
        return Err(Denial::StepUpRequired);
    }
    if action.needs_fresh_factor(relation) && !sign_in.is_fresh(now) {
        return Err(Denial::StepUpRequired);
    }
    Ok(())
}

/// The table, for domains that ask through the port.
#[derive(Debug, Clone, Copy, Default)]
pub struct PolicyTable;

impl Policy for PolicyTable {
    fn decide(&self, context: &Context, action: Action, relation: Relation, now: Timestamp) -> Result<Sight, Denial> {
        decide(context, action, relation, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::*;
    use amrutam_kernel::{AccountId, CorrelationId, SessionId, SignIn};
    use jiff::SignedDuration;
    use uuid::Uuid;

    fn now() -> Timestamp {
        "2026-11-23T03:30:00Z".parse().unwrap()
    }

    fn context(actor: Actor, sign_in: Option<SignIn>) -> Context {
        Context { actor, sign_in, correlation_id: CorrelationId::from(Uuid::nil()), trace_parent: None, origin: None }
    }

    fn person(role: Role, second_factor: SecondFactor, shown_ago: Option<SignedDuration>) -> Context {
        let sign_in = SignIn {
            session: SessionId::from_uuid(Uuid::nil()),
            second_factor_at: shown_ago.map(|ago| now() - ago),
            second_factor,
        };
        context(Actor::Account { id: AccountId::from_uuid(Uuid::nil()), role }, Some(sign_in))
    }

    /// In this order everywhere below.
    fn everybody() -> [Context; 7] {
        let roles = [Role::Patient, Role::Doctor, Role::Support, Role::Admin, Role::Auditor];
        let [patient, doctor, support, admin, auditor] =
            roles.map(|role| person(role, SecondFactor::Enrolled, Some(SignedDuration::ZERO)));
        let system = context(Actor::System("test"), None);
        [patient, doctor, support, admin, auditor, system, context(Actor::Anonymous, None)]
    }

    /// What each of everybody is answered: for their own, for what they treat, for everything else.
    /// `f` full, `m` masked, `a` aggregated, `-` hidden, `x` forbidden, `?` not signed in.
    fn answers(action: Action) -> String {
        let cells = everybody().map(|context| {
            let letter = |relation| match decide(&context, action, relation, now()) {
                Ok(Sight::Full) => 'f',
                Ok(Sight::Masked) => 'm',
                Ok(Sight::Aggregated) => 'a',
                Err(Denial::Hidden) => '-',
                Err(Denial::Forbidden) => 'x',
                Err(Denial::NotSignedIn) => '?',
                Err(Denial::SecondFactorRequired | Denial::StepUpRequired) => '!',
            };
            Relation::ALL.map(letter).iter().collect::<String>()
        });
        cells.join(" ")
    }

    #[test]
    fn the_whole_table_is_as_designed() {
        let table = [
            // action                patient doctor support admin auditor system anyone
            (ProfileRead, "f-- ff- fmm fmm f-- fff ???"),
            (ProfileUpdate, "f-- f-- f-- f-- f-- xxx ???"),
            (PasswordChange, "f-- f-- f-- f-- f-- xxx ???"),
            (AccountErase, "f-- xxx xxx xxx xxx fff ???"),
            (AccountDeactivate, "f-- f-- f-- fff f-- fff ???"),
            (StaffInvite, "xxx xxx xxx fff xxx fff ???"),
            (SessionList, "f-- f-- f-- f-- f-- xxx ???"),
            (SessionEnd, "f-- f-- fff fff f-- fff ???"),
            (StepUp, "f-- f-- f-- f-- f-- xxx ???"),
            (FactorEnrol, "f-- f-- f-- f-- f-- xxx ???"),
            (FactorChange, "f-- f-- f-- f-- f-- xxx ???"),
            (FactorRemove, "f-- f-- f-- f-- f-- xxx ???"),
            (FactorEnd, "xxx xxx fff fff xxx fff ???"),
            (SlotRead, "fff fff fff fff fff fff fff"),
            (AvailabilityManage, "xxx f-- xxx fff xxx fff ???"),
            (DoctorRead, "xxx f-- xxx fff xxx fff ???"),
            (DoctorCreate, "xxx f-- xxx fff xxx fff ???"),
            (DoctorUpdate, "xxx f-- xxx fff xxx xxx ???"),
            (DoctorVerify, "xxx xxx xxx fff xxx fff ???"),
            (DoctorSuspend, "xxx xxx xxx fff xxx fff ???"),
            (ConsultationBook, "f-- xxx xxx xxx xxx xxx ???"),
            (ConsultationRead, "f-- f-- fmm fmm xxx fmm ???"),
            (ConsultationCancel, "f-- f-- xxx fmm xxx fmm ???"),
            (ConsultationReschedule, "f-- xxx xxx xxx xxx fmm ???"),
            (ConsultationStart, "xxx f-- xxx xxx xxx fmm ???"),
            (ConsultationComplete, "xxx f-- xxx xxx xxx fmm ???"),
            (ConsultationEnd, "f-- f-- xxx xxx xxx xxx ???"),
            (ConsultationMode, "f-- f-- xxx xxx xxx xxx ???"),
            (ConsultationNoShow, "f-- f-- xxx xxx xxx fmm ???"),
            (ConsultationConfirm, "xxx xxx xxx xxx xxx fmm ???"),
            (ConsultationRelease, "xxx xxx xxx xxx xxx fmm ???"),
            (ConsultationExpire, "xxx xxx xxx xxx xxx fmm ???"),
            (RecordRead, "f-- ff- xxx xxx xxx xxx ???"),
            (RecordWrite, "xxx f-- xxx xxx xxx xxx ???"),
            (RecordBreakGlass, "xxx fff xxx xxx xxx xxx ???"),
            (RecordExport, "f-- f-- f-- f-- f-- xxx ???"),
            (ExportRead, "f-- f-- f-- f-- f-- xxx ???"),
            (RecordHold, "xxx xxx xxx xxx xxx fff ???"),
            (ErasureRead, "xxx xxx xxx fff fff xxx ???"),
            (PrescriptionSign, "xxx f-- xxx xxx xxx xxx ???"),
            (ConsentRecord, "f-- f-- xxx xxx xxx xxx ???"),
            (FormularyRead, "xxx fff xxx xxx xxx xxx ???"),
            (DependantManage, "f-- xxx xxx xxx xxx xxx ???"),
            (PaymentRead, "f-- xxx fff fff fff fff ???"),
            (PaymentMake, "f-- xxx xxx xxx xxx xxx ???"),
            (RefundApprove, "xxx xxx xxx fff xxx xxx ???"),
            (AuditRead, "f-- xxx xxx xxx fff xxx ???"),
            (ReportRead, "xxx a-- xxx aaa fff fff ???"),
            (OperationsRead, "xxx xxx fmm fff xxx fff ???"),
            (OperationsManage, "xxx xxx xxx fff xxx fff ???"),
            (KeysDestroy, "xxx xxx xxx xxx xxx fff ???"),
            (KeysManage, "xxx xxx xxx xxx xxx fff ???"),
        ];
        for (action, expected) in table {
            assert_eq!(answers(action), expected, "{}", action.as_str());
        }
        let listed: Vec<_> = table.iter().map(|(action, _)| *action).collect();
        assert_eq!(listed, Action::ALL, "every action once, in its order");
    }

    #[test]
    fn a_person_without_a_session_is_let_in_nowhere() {
        for role in Role::ALL {
            let person = context(Actor::Account { id: AccountId::from_uuid(Uuid::nil()), role }, None);
            for action in Action::ALL.iter().filter(|action| **action != SlotRead) {
                for relation in Relation::ALL {
                    assert!(decide(&person, *action, relation, now()).is_err(), "{role} {}", action.as_str());
                }
            }
        }
    }

    #[test]
    fn an_account_that_lacks_its_factor_can_only_enrol_and_leave() {
        for role in Role::ALL {
            // Even one that is said to have been shown just now: there is none.
            let person = person(role, SecondFactor::Missing, Some(SignedDuration::ZERO));
            let allowed: Vec<_> = Action::ALL
                .iter()
                .flat_map(|action| Relation::ALL.map(|relation| (*action, relation)))
                .filter(|(action, relation)| decide(&person, *action, *relation, now()).is_ok())
                .filter(|(action, _)| *action != SlotRead)
                .collect();
            assert_eq!(allowed, [(SessionEnd, Relation::Own), (FactorEnrol, Relation::Own)], "{role}");
            let own = decide(&person, ProfileRead, Relation::Own, now());
            assert_eq!(own, Err(Denial::SecondFactorRequired), "{role}");
        }
    }

    #[test]
    fn a_session_that_never_showed_the_accounts_factor_can_only_show_it_and_leave() {
        for role in Role::ALL {
            let password_only = person(role, SecondFactor::Enrolled, None);
            let shown = person(role, SecondFactor::Enrolled, Some(SignedDuration::ZERO));
            for action in Action::ALL.iter().filter(|action| **action != SlotRead) {
                for relation in Relation::ALL {
                    let answer = decide(&shown, *action, relation, now());
                    let open = [(SessionEnd, Relation::Own), (StepUp, Relation::Own), (FactorEnrol, Relation::Own)];
                    let expected = match answer {
                        Ok(_) if !open.contains(&(*action, relation)) => Err(Denial::StepUpRequired),
                        answer => answer,
                    };
                    let name = action.as_str();
                    assert_eq!(
                        decide(&password_only, *action, relation, now()),
                        expected,
                        "{role} {name} {relation:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn grave_things_ask_for_a_factor_shown_within_five_minutes() {
        let grave = [
            (AccountDeactivate, Relation::None),
            (StaffInvite, Relation::None),
            (DoctorSuspend, Relation::None),
            (FactorChange, Relation::Own),
            (FactorEnd, Relation::None),
            (DoctorVerify, Relation::None),
            (RefundApprove, Relation::None),
            (RecordExport, Relation::Own),
            (OperationsManage, Relation::None),
        ];
        let limit = SignedDuration::from_mins(5);
        let moment = SignedDuration::from_micros(1);
        for action in Action::ALL {
            for relation in Relation::ALL {
                let ask = |second_factor, shown_ago| {
                    decide(&person(Role::Admin, second_factor, shown_ago), *action, relation, now())
                };
                let Ok(sight) = ask(SecondFactor::Enrolled, Some(SignedDuration::ZERO)) else { continue };
                // A thing that anybody may do, an admin may do to their own as well.
                let is_grave = grave.iter().any(|(grave, _)| grave == action)
                    && (*action != AccountDeactivate || relation != Relation::Own);
                let late = if is_grave { Err(Denial::StepUpRequired) } else { Ok(sight) };
                let name = action.as_str();
                assert_eq!(ask(SecondFactor::Enrolled, Some(limit - moment)), Ok(sight), "{name} {relation:?}");
                assert_eq!(ask(SecondFactor::Enrolled, Some(limit)), late, "{name} {relation:?}");
                assert_eq!(ask(SecondFactor::NotNeeded, None), Ok(sight), "{name} {relation:?}: none is asked of it");
            }
        }
        for (action, relation) in grave {
            let stale = decide(&person(Role::Admin, SecondFactor::Enrolled, None), action, relation, now());
            assert_eq!(stale, Err(Denial::StepUpRequired), "{}", action.as_str());
        }
    }

    #[test]
    fn what_a_role_never_may_is_forbidden_before_any_factor_is_asked_for() {
        let person = person(Role::Patient, SecondFactor::Enrolled, None);
        assert_eq!(decide(&person, StaffInvite, Relation::None, now()), Err(Denial::Forbidden));
        assert_eq!(decide(&person, ConsultationRead, Relation::None, now()), Err(Denial::Hidden));
    }
}
