use super::{first_of, owner};
use crate::{
    error::UnwrapError,
    model::{DataKeyId, KEY_BYTES, KeyMaterial, WrappedKey},
    ports::KeyWrapper,
};
use async_trait::async_trait;
use std::sync::Arc;

/// The world the wrapper's suite runs in.
#[async_trait]
pub trait Wrappers: Send + Sync {
    /// Under test, with one key-encryption key.
    fn wrapper(&self) -> Arc<dyn KeyWrapper>;
    /// Gives it another one that wraps from now on.
    async fn rotate(&self);
    /// Another of that kind: with another key, and this name for it.
    async fn impostor(&self) -> Arc<dyn KeyWrapper>;
}

fn material() -> KeyMaterial {
    KeyMaterial::from_slice(&[7; KEY_BYTES]).unwrap()
}

async fn refusal(wrapper: &dyn KeyWrapper, id: DataKeyId, wrapped: &WrappedKey) -> Option<UnwrapError> {
    wrapper.unwrap(id, wrapped).await.err()
}

/// And nothing of the key shows.
pub async fn what_is_wrapped_unwraps_and_no_two_wrappings_are_alike(wrappers: &impl Wrappers) {
    let (wrapper, id) = (wrappers.wrapper(), first_of(owner()));
    let [one, other] = [wrapper.wrap(id, &material()).await.unwrap(), wrapper.wrap(id, &material()).await.unwrap()];
    assert_ne!(one.bytes, other.bytes);
    assert_eq!(one.kek, wrapper.current().unwrap());
    for wrapped in [one, other] {
        assert_eq!(wrapper.unwrap(id, &wrapped).await.map(|key| *key.expose()), Ok([7; KEY_BYTES]));
        assert!(!wrapped.bytes.windows(4).any(|bytes| bytes == [7; 4]));
    }
}

/// One that is moved to another row is no key there.
pub async fn a_wrapped_key_is_bound_to_its_owner_and_version(wrappers: &impl Wrappers) {
    let (wrapper, id) = (wrappers.wrapper(), first_of(owner()));
    let wrapped = wrapper.wrap(id, &material()).await.unwrap();
    for elsewhere in [DataKeyId { version: 2, ..id }, first_of(owner())] {
        assert_eq!(refusal(&*wrapper, elsewhere, &wrapped).await, Some(UnwrapError::Refused));
    }
}

/// Each byte, and any cut.
pub async fn any_changed_byte_of_a_wrapped_key_is_refused(wrappers: &impl Wrappers) {
    let (wrapper, id) = (wrappers.wrapper(), first_of(owner()));
    let wrapped = wrapper.wrap(id, &material()).await.unwrap();
    for at in 0..wrapped.bytes.len() {
        let mut changed = wrapped.clone();
        changed.bytes[at] ^= 1;
        let cut = WrappedKey { bytes: wrapped.bytes[..at].to_vec(), ..wrapped.clone() };
        for broken in [changed, cut] {
            assert_eq!(refusal(&*wrapper, id, &broken).await, Some(UnwrapError::Refused), "at {at}");
        }
    }
}

/// Both are readable meanwhile.
pub async fn a_rotated_wrapper_unwraps_what_was_wrapped_before(wrappers: &impl Wrappers) {
    let (wrapper, id) = (wrappers.wrapper(), first_of(owner()));
    let before = wrapper.wrap(id, &material()).await.unwrap();
    wrappers.rotate().await;
    let after = wrapper.wrap(id, &material()).await.unwrap();
    assert_ne!(before.kek, after.kek);
    for wrapped in [before.clone(), after.clone()] {
        assert!(wrapper.unwrap(id, &wrapped).await.is_ok());
    }
    let relabelled = WrappedKey { kek: after.kek, ..before };
    assert_eq!(refusal(&*wrapper, id, &relabelled).await, Some(UnwrapError::Refused));
}

/// Never tried in turn.
pub async fn a_key_is_looked_up_by_its_name_alone(wrappers: &impl Wrappers) {
    let (wrapper, id) = (wrappers.wrapper(), first_of(owner()));
    let wrapped = wrapper.wrap(id, &material()).await.unwrap();
    let renamed = WrappedKey { kek: "nobodys".parse().unwrap(), ..wrapped.clone() };
    let unknown = UnwrapError::UnknownKek(renamed.kek.clone());
    assert_eq!(refusal(&*wrapper, id, &renamed).await, Some(unknown));
    assert_eq!(refusal(&*wrappers.impostor().await, id, &wrapped).await, Some(UnwrapError::Refused));
}
