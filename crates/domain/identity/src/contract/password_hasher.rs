//! Passwords.

use crate::{model::NewPassword, ports::PasswordHasher};
use amrutam_kernel::Sensitive;
use std::sync::Arc;

fn new(password: &str) -> NewPassword {
    NewPassword::parse(Sensitive::new(password.to_owned())).unwrap()
}

async fn matches(hasher: &Arc<dyn PasswordHasher>, password: &str, hash: &crate::model::PasswordHash) -> bool {
    hasher.verify(&Sensitive::new(password.to_owned()), Some(hash)).await.unwrap()
}

/// Every character counts, at any length, in any script.
pub async fn a_password_matches_its_hash_and_no_other(hasher: &Arc<dyn PasswordHasher>) {
    let long = "\u{0905}".repeat(NewPassword::MAX_CHARS);
    for password in ["12345678", " spaces count ", &long] {
        let hash = hasher.hash(&new(password)).await.unwrap();
        assert!(matches(hasher, password, &hash).await);
        let mut shorter = password.to_owned();
        shorter.pop();
        for other in ["", &shorter, &format!("{password}x"), &password.replacen(['1', ' ', '\u{0905}'], "z", 1)] {
            assert!(!matches(hasher, other, &hash).await, "{other:?} passes for {password:?}");
        }
    }
    let hash = hasher.hash(&new("Password")).await.unwrap();
    assert!(!matches(hasher, "password", &hash).await);
}

/// Two people with one password have two hashes.
pub async fn a_hash_has_a_fresh_salt_and_hides_the_password(hasher: &Arc<dyn PasswordHasher>) {
    let password = "correct horse";
    let one = hasher.hash(&new(password)).await.unwrap();
    let other = hasher.hash(&new(password)).await.unwrap();
    assert_ne!(one, other);
    assert!(one.as_phc().starts_with('$') && !one.as_phc().contains(password), "a PHC text: {}", one.as_phc());
    assert!(matches(hasher, password, &one).await && matches(hasher, password, &other).await);
}

/// An unknown address is answered like a wrong password.
pub async fn without_a_hash_no_password_matches(hasher: &Arc<dyn PasswordHasher>) {
    for password in ["", "dummy", "correct horse"] {
        assert!(!hasher.verify(&Sensitive::new(password.to_owned()), None).await.unwrap());
    }
}
