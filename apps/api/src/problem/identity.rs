//! What the identity domain says, as what the API says. Exhaustive, like its neighbour.

use super::{Code, FieldError, Problem, mapping::replay_lost};
use crate::http::Attempt;
use amrutam_identity::{
    AccountError, ChangePasswordError, CreateStaffError, DeactivateError, FactorError, InviteError, LogInError,
    RefreshError, RegisterError, SecondFactorError, SessionError, SetPasswordError, StepUpError, VerifyEmailError,
    model::{Delayed, InvalidPassword},
};
use amrutam_kernel::Denial;

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::NotSignedIn => Code::Unauthenticated,
            Denial::Forbidden => Code::Forbidden,
            Denial::Hidden => Code::NotFound,
            Denial::SecondFactorRequired => Code::SecondFactorRequired,
            Denial::StepUpRequired => Code::StepUpRequired,
        }
        .into()
    }
}

fn delayed(delayed: Delayed) -> Problem {
    let seconds = delayed.wait_seconds();
    Problem::new(Code::RateLimited)
        .detail(format!("too many wrong codes; try again in {seconds} s"))
        .retry_after(seconds)
}

fn invalid_password(pointer: &str, invalid: InvalidPassword) -> Problem {
    let code = match invalid {
        InvalidPassword::Length => "invalid_password",
        InvalidPassword::Guessable => "breached_password",
    };
    let detail = invalid.to_string();
    let error =
        FieldError { pointer: pointer.to_owned(), location: None, code: code.into(), detail: detail.clone().into() };
    Problem::new(Code::ValidationFailed).detail(format!("{pointer}: {detail}")).errors(vec![error])
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Password(invalid) => invalid_password("/password", invalid),
            RegisterError::Port(error) => error.into(),
        }
    }
}

impl From<VerifyEmailError> for Problem {
    fn from(error: VerifyEmailError) -> Self {
        match error {
            VerifyEmailError::InvalidLink => Self::new(Code::InvalidLink).at("/token"),
            VerifyEmailError::Port(error) => error.into(),
        }
    }
}

impl From<SetPasswordError> for Problem {
    fn from(error: SetPasswordError) -> Self {
        match error {
            SetPasswordError::InvalidLink => Self::new(Code::InvalidLink).at("/token"),
            SetPasswordError::Password(invalid) => invalid_password("/password", invalid),
            SetPasswordError::Port(error) => error.into(),
        }
    }
}

impl From<LogInError> for Problem {
    fn from(error: LogInError) -> Self {
        match error {
            LogInError::InvalidCredentials => Code::InvalidCredentials.into(),
            LogInError::Port(error) => error.into(),
        }
    }
}

impl From<SecondFactorError> for Problem {
    fn from(error: SecondFactorError) -> Self {
        match error {
            SecondFactorError::InvalidMfaToken => Code::InvalidMfaToken.into(),
            // Nobody is signed in yet.
            SecondFactorError::InvalidCode => {
                Self::new(Code::InvalidCredentials).detail("the code is wrong or was used")
            }
            SecondFactorError::Delayed(until) => delayed(until),
            SecondFactorError::Port(error) => error.into(),
        }
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::InvalidToken => Code::InvalidRefreshToken.into(),
            RefreshError::SessionRevoked => Code::SessionRevoked.into(),
            RefreshError::Port(error) => error.into(),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Denied(denial) => denial.into(),
            SessionError::Port(error) => error.into(),
        }
    }
}

impl From<ChangePasswordError> for Problem {
    fn from(error: ChangePasswordError) -> Self {
        match error {
            ChangePasswordError::Denied(denial) => denial.into(),
            ChangePasswordError::WrongPassword => Self::new(Code::WrongPassword).at("/current_password"),
            ChangePasswordError::Password(invalid) => invalid_password("/new_password", invalid),
            ChangePasswordError::Port(error) => error.into(),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Denied(denial) => denial.into(),
            AccountError::Precondition => Code::PreconditionFailed.into(),
            AccountError::Port(error) => error.into(),
        }
    }
}

impl From<DeactivateError> for Problem {
    fn from(error: DeactivateError) -> Self {
        match error {
            DeactivateError::Denied(denial) => denial.into(),
            DeactivateError::WrongPassword => Self::new(Code::WrongPassword).at("/password"),
            DeactivateError::Port(error) => error.into(),
        }
    }
}

impl From<CreateStaffError> for Problem {
    fn from(error: CreateStaffError) -> Self {
        match error {
            CreateStaffError::Denied(denial) => denial.into(),
            CreateStaffError::EmailTaken => Code::EmailTaken.into(),
            CreateStaffError::AlreadyAnswered => replay_lost(),
            CreateStaffError::Password(invalid) => invalid_password("/password", invalid),
            CreateStaffError::Port(error) => error.into(),
        }
    }
}

impl From<InviteError> for Problem {
    fn from(error: InviteError) -> Self {
        match error {
            InviteError::Denied(denial) => denial.into(),
            InviteError::NotAStaffRole => Self::new(Code::ValidationFailed).at("/role"),
            InviteError::EmailTaken => Code::EmailTaken.into(),
            InviteError::AlreadyAnswered => replay_lost(),
            InviteError::Port(error) => error.into(),
        }
    }
}

impl From<StepUpError> for Problem {
    fn from(error: StepUpError) -> Self {
        match error {
            StepUpError::Denied(denial) => denial.into(),
            StepUpError::NotEnrolled => Code::SecondFactorNotEnrolled.into(),
            StepUpError::InvalidCode => Code::InvalidProof.into(),
            StepUpError::Delayed(until) => delayed(until),
            StepUpError::Port(error) => error.into(),
        }
    }
}

impl From<FactorError> for Problem {
    fn from(error: FactorError) -> Self {
        match error {
            FactorError::Denied(denial) => denial.into(),
            FactorError::NotEnrolled => Code::SecondFactorNotEnrolled.into(),
            FactorError::NotBegun => Code::SecondFactorNotBegun.into(),
            FactorError::WrongPassword => Self::new(Code::WrongPassword).at("/password"),
            FactorError::InvalidCode => Code::InvalidProof.into(),
            FactorError::Delayed(until) => delayed(until),
            FactorError::Port(error) => error.into(),
        }
    }
}

impl From<CreateStaffError> for Attempt {
    fn from(error: CreateStaffError) -> Self {
        match error {
            CreateStaffError::AlreadyAnswered => Self::Answered,
            other => Self::Refused(other.into()),
        }
    }
}

impl From<InviteError> for Attempt {
    fn from(error: InviteError) -> Self {
        match error {
            InviteError::AlreadyAnswered => Self::Answered,
            other => Self::Refused(other.into()),
        }
    }
}
