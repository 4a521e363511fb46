//! What an account is. Everything here is checked when it is made, so nothing later needs to check again.

mod account;
mod email;
mod name;
mod password;

pub use account::{Account, Profile, Sex};
pub use email::{EmailAddress, InvalidEmail};
pub use name::{InvalidName, PersonName};
pub use password::{InvalidPassword, NewPassword, PasswordHash};
