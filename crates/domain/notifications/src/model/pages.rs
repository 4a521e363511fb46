//! The pages that one-time links open.

use amrutam_kernel::{LinkId, LinkPurpose, LinkTokens, Sensitive};

/// Makes links at the moment a mail is sent, so that no token waits in a queue or a table.
#[derive(Clone, Copy)]
pub struct LinkPages<'a> {
    /// Where the pages are, without a slash at the end: `https://app.amrutam.example`.
    pub base: &'a str,
    /// What makes the tokens.
    pub tokens: &'a dyn LinkTokens,
}

impl LinkPages<'_> {
    /// The whole link. The token stands in the fragment, which browsers send to no server and put into no `Referer`.
    pub fn url(&self, purpose: LinkPurpose, id: LinkId) -> Sensitive<String> {
        let page = match purpose {
            LinkPurpose::VerifyEmail => "verify-email",
            LinkPurpose::ResetPassword => "reset-password",
            LinkPurpose::Invitation => "accept-invitation",
        };
        Sensitive::new(format!("{}/{page}#token={}", self.base, self.tokens.token(purpose, id).expose()))
    }
}
