//! Identity's one-time links.

use crate::world::MemoryWorld;
use amrutam_identity::{
    model::{Link, SecretDigest},
    ports::LinkStore,
};
use amrutam_kernel::{CommitError, Effects, LinkPurpose, PortError};
use async_trait::async_trait;
use jiff::Timestamp;

#[async_trait]
impl LinkStore for MemoryWorld {
    async fn issue(&self, link: &Link, now: Timestamp, effects: &Effects) -> Result<(), CommitError> {
        let mut tx = self.begin(effects)?;
        let older = |other: &&mut Link| other.account == link.account && other.purpose == link.purpose;
        let links = tx.tables().links.values_mut().filter(older);
        links.for_each(|other| other.spent_at = other.spent_at.or(Some(now)));
        tx.tables().put_link(link)?;
        tx.commit()
    }

    async fn by_digest(&self, purpose: LinkPurpose, digest: &SecretDigest) -> Result<Option<Link>, PortError> {
        let wanted = |link: &&Link| link.purpose == purpose && link.digest == *digest;
        self.read(|tables| tables.links.values().find(wanted).copied())
    }
}
