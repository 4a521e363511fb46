//! What is read of the other domains when a message is sent.

use super::{Readers, id, random};
use crate::{Channel, MessageKind, ScheduledMessage, VisitStatus};
use amrutam_kernel::{AccountId, ConsultationId, CorrelationId, Effects, MessageId, Unrecorded};
use jiff::SignedDuration;

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
    assert!(readers.contacts().contact(nobody).await.unwrap().is_none());
    let (id, expected) = readers.person().await;
    let found = readers.contacts().contact(id).await.unwrap().map(Unrecorded::undisclosed);
    assert_eq!(found, Some(expected));
    readers.close(id).await;
    assert!(readers.contacts().contact(id).await.unwrap().is_none(), "who has left gets no mail");
}

/// The mail beside it is; and so is the text once they have given a number.
pub async fn who_has_no_number_is_planned_no_text_that_goes_out_at_once(readers: &dyn Readers) {
    let (recipient, _) = readers.person().await;
    let message = |channel| ScheduledMessage {
        id: MessageId::from_uuid(id(readers.now())),
        kind: MessageKind::BookingConfirmed,
        channel,
        dedupe_key: format!("contract:{:016x}", random()),
        recipient,
        consultation: Some(ConsultationId::from_uuid(id(readers.now()))),
        slot_starts_at: None,
        link: None,
        due_at: readers.now(),
        attempts: 0,
        maybe_sent: false,
        correlation_id: CorrelationId::from(id(readers.now())),
        trace_parent: None,
    };
    for (number, expected) in [(None, [false, true]), (Some("+919812345678"), [true, true])] {
        readers.have_number(recipient, number).await;
        let both = [message(Channel::Sms), message(Channel::Mail)];
        readers.messages().plan(&both, &Effects::default()).await.unwrap();
        let claimed = readers.messages().claim_due(SignedDuration::from_mins(1), 1000).await.unwrap();
        let planned = both.map(|message| claimed.iter().any(|claimed| claimed.id == message.id));
        assert_eq!(planned, expected, "{number:?}");
    }
}
