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
        Action::DoctorCreate           => r(  NO,       OWN,      NO,       ANY,      NO,       ANY,      NO  ),
        Action::DoctorUpdate           => r(  NO,       OWN,      NO,       ANY,      NO,       NO,       NO  ),
        Action::DoctorVerify           => r(  NO,       NO,       NO,       ANY,      NO,       ANY,      NO  ),
        Action::DoctorSuspend          => r(  NO,       NO,       NO,       ANY,      NO,       ANY,      NO  ),
        Action::ConsultationBook       => r(  OWN,      NO,       NO,       NO,       NO,       NO,       NO  ),
        Action::ConsultationRead       => r(  OWN,      OWN,      MASKED,   MASKED,   NO,       ANY,      NO  ),
        Action::ConsultationCancel     => r(  OWN,      OWN,      NO,       ANY,      NO,       ANY,      NO  ),
        Action::ConsultationReschedule => r(  OWN,      NO,       NO,       NO,       NO,       NO,       NO  ),
        Action::ConsultationConduct    => r(  NO,       OWN,      NO,       NO,       NO,       NO,       NO  ),
        Action::RecordRead             => r(  OWN,      TREATING, NO,       NO,       NO,       NO,       NO  ),
        Action::RecordWrite            => r(  NO,       OWN,      NO,       NO,       NO,       NO,       NO  ),
        Action::RecordBreakGlass       => r(  NO,       ANY,      NO,       NO,       NO,       NO,       NO  ),
        Action::PaymentRead            => r(  OWN,      NO,       ANY,      ANY,      ANY,      ANY,      NO  ),
        Action::PaymentMake            => r(  OWN,      NO,       NO,       NO,       NO,       NO,       NO  ),
        Action::RefundRequest          => r(  NO,       NO,       ANY,      NO,       NO,       ANY,      NO  ),
        Action::RefundApprove          => r(  NO,       NO,       NO,       ANY,      NO,       NO,       NO  ),
        Action::AuditRead              => r(  OWN,      NO,       NO,       NO,       ANY,      NO,       NO  ),
        Action::ReportRead             => r(  NO,       OWN_SUMS, NO,       SUMS,     ANY,      ANY,      NO  ),
        Action::OperationsManage       => r(  NO,       NO,       NO,       ANY,      NO,       ANY,      NO  ),
    }
}

/// What an account that lacks the second factor its role asks for may do: set one up, and leave.
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
    second_factor(context, action, relation, now).map_or(Ok(sight), Err)
}

fn second_factor(context: &Context, action: Action, relation: Relation, now: Timestamp) -> Option<Denial> {
    if context.actor.account().is_none() {
        return None;
    }
    // A person without a session came in past the gate: nothing is known of their factor.
    let Some(sign_in) = context.sign_in else { return Some(Denial::NotSignedIn) };
    if sign_in.second_factor == SecondFactor::Missing && !open_without_factor(action, relation) {
        return Some(Denial::SecondFactorRequired);
    }
    (action.needs_fresh_factor(relation) && !sign_in.is_fresh(now)).then_some(Denial::StepUpRequired)
}

/// The table, for domains that ask through the port.
#[derive(Debug, Clone, Copy, Default)]
pub struct PolicyTable;

impl Policy for PolicyTable {
    fn decide(&self, context: &Context, action: Action, relation: Relation, now: Timestamp) -> Result<Sight, Denial> {
        decide(context, action, relation, now)
    }
}
