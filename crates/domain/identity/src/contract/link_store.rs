//! One-time links.

use super::{Harness, stage::*};
use amrutam_kernel::{Effects, LinkPurpose};

/// Found by purpose and digest together, by neither alone.
pub async fn a_link_is_found_by_its_digest_for_its_purpose(harness: &dyn Harness) {
    let (store, account) = (harness.links(), stored(harness).await);
    for purpose in LinkPurpose::ALL {
        let (link, effects) = (link(harness, purpose, account.id), effects(harness, account.id));
        store.issue(&link, harness.now(), &effects).await.unwrap();
        let (events, audit) = on_record(harness, account.id).await;
        assert!(events.contains(&effects.events[0].id) && audit.contains(&effects.audit[0].id));
        for asked in LinkPurpose::ALL {
            let found = store.by_digest(asked, &link.digest).await.unwrap();
            assert_eq!(found, (asked == purpose).then_some(link), "{purpose} as {asked}");
        }
        assert_eq!(store.by_digest(purpose, &digest()).await.unwrap(), None);
    }
}

/// Of one purpose; those of other purposes and other people go on.
pub async fn only_the_newest_link_works(harness: &dyn Harness) {
    let (store, one, other) = (harness.links(), stored(harness).await, stored(harness).await);
    let first = issued(harness, LinkPurpose::ResetPassword, one.id).await;
    let verifies = issued(harness, LinkPurpose::VerifyEmail, one.id).await;
    let others = issued(harness, LinkPurpose::ResetPassword, other.id).await;
    let (second, at) = (link(harness, LinkPurpose::ResetPassword, one.id), minutes(harness, 1));
    store.issue(&second, at, &Effects::default()).await.unwrap();
    let third = link(harness, LinkPurpose::ResetPassword, one.id);
    let later = minutes(harness, 2);
    store.issue(&third, later, &Effects::default()).await.unwrap();
    for (link, spent_at) in [(first, Some(at)), (second, Some(later)), (third, None), (verifies, None), (others, None)]
    {
        let read = store.by_digest(link.purpose, &link.digest).await.unwrap().unwrap();
        assert_eq!(read.spent_at, spent_at);
        assert_eq!(read.works(minutes(harness, 3)), spent_at.is_none());
    }
}
