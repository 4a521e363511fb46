//! What is read of the other domains when a message is sent.

use super::{Readers, id};
use crate::VisitStatus;
use amrutam_kernel::{AccountId, ConsultationId};

/// Every state's word, and nothing for a visit that is not there.
pub async fn a_visit_is_read_as_it_is_now(readers: &dyn Readers) {
    let unknown = ConsultationId::from_uuid(id(readers.now()));
    assert_eq!(readers.visits().visit(unknown).await.unwrap(), None);
    let visits = readers.visits_in_every_state().await;
    for word in ["pending", "confirmed", "in_progress", "completed", "expired", "cancelled", "no_show"] {
        let (id, _, expected) = visits.iter().find(|(_, state, _)| *state == word).expect("a visit in every state");
        let read = readers.visits().visit(*id).await.unwrap();
        assert_eq!(read.as_ref(), Some(expected), "{word}");
        assert_eq!(expected.status, VisitStatus::from_word(word));
    }
}

/// And nothing for an account that is not there, or is closed.
pub async fn a_person_is_read_as_they_are_now(readers: &dyn Readers) {
    let nobody = AccountId::from_uuid(id(readers.now()));
    assert_eq!(readers.contacts().contact(nobody).await.unwrap(), None);
    let (id, expected) = readers.person().await;
    assert_eq!(readers.contacts().contact(id).await.unwrap(), Some(expected));
    readers.close(id).await;
    assert_eq!(readers.contacts().contact(id).await.unwrap(), None, "who has left gets no mail");
}
