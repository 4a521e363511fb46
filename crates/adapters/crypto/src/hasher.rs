//! Argon2id behind a bounded queue.

use amrutam_identity::{NewPassword, model::PasswordHash, ports::PasswordHasher};
use amrutam_kernel::{Dependency, PortError, Sensitive};
use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{PasswordHasher as _, phc},
};
use async_trait::async_trait;
use rayon_core::{ThreadPool, ThreadPoolBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::{cell::RefCell, sync::Arc, thread};
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::sync::{Semaphore, oneshot};

// OWASP's first choice: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How much hashing at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HasherSettings {
    /// Hashes under way at one time; each takes a core and 19 MiB. One per two cores unless said; at least one.
    pub parallel: usize,
    /// How many more may wait, 64 unless said. Whoever comes after them is told to come again.
    pub queue: usize,
}

impl Default for HasherSettings {
    fn default() -> Self {
        Self { parallel: thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1)), queue: 64 }
    }
}

/// Runs when nothing else would.
const IDLE: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);

/// Hashes and compares passwords on threads of its own, which step back behind all others.
///
/// A caller that goes away gives up its place in the queue; a hash that has begun keeps its place until it ends, so that
/// callers who give up cannot pile up work.
#[derive(Debug)]
pub struct Argon2Hasher {
    threads: ThreadPool,
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
    dummy: PasswordHash,
}

impl Argon2Hasher {
    /// Makes the dummy hash, so it takes as long as one hash.
    pub fn new(settings: HasherSettings) -> Result<Self, PortError> {
        let parallel = settings.parallel.clamp(1, Semaphore::MAX_PERMITS);
        let admitted = parallel.saturating_add(settings.queue).min(Semaphore::MAX_PERMITS);
        Ok(Self {
            threads: threads(parallel)?,
            admitted: Arc::new(Semaphore::new(admitted)),
            running: Arc::new(Semaphore::new(parallel)),
            dummy: hash_now("nobody's password")?,
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        let admitted = Arc::clone(&self.admitted)
            .try_acquire_owned()
            .map_err(|_| PortError::unavailable(Dependency::Hasher, "the queue is full"))?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(defect)?;
        let (tell, told) = oneshot::channel();
        self.threads.spawn(move || {
            // The places are free when the caller hears of it.
            let result = {
                let _places = (admitted, running);
                work()
            };
            // The caller may have gone.
            drop(tell.send(result));
        });
        told.await.map_err(defect)?
    }
}

#[async_trait]
impl PasswordHasher for Argon2Hasher {
    async fn hash(&self, password: &NewPassword) -> Result<PasswordHash, PortError> {
        let password = SecretString::from(password.expose().expose().as_str());
        self.run(move || hash_now(password.expose_secret())).await
    }

    async fn verify(&self, password: &Sensitive<String>, hash: Option<&PasswordHash>) -> Result<bool, PortError> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.dummy).clone();
        let password = SecretString::from(password.expose().as_str());
        let matches = self.run(move || verify_now(password.expose_secret(), &hash)).await?;
        Ok(matches && known)
    }
}

fn threads(count: usize) -> Result<ThreadPool, PortError> {
    let pool = ThreadPoolBuilder::new().num_threads(count).thread_name(|index| format!("hasher-{index}"));
    // A storm of log-ins must not slow down those who are in: whoever wakes takes the core from an idle thread at once, and from
    // one that is merely nice when its slice has ended. Where it can't be had, hashing competes like any other work.
    let pool = pool.start_handler(|_| {
        let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, IDLE);
    });
    pool.panic_handler(|_| tracing::error!("hashing a password panicked")).build().map_err(defect)
}

fn argon2() -> Result<Argon2<'static>, PortError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(defect)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_now(password: &str) -> Result<PasswordHash, PortError> {
    let hash: phc::PasswordHash = argon2()?.hash_password(password.as_bytes()).map_err(defect)?;
    Ok(PasswordHash::from_phc(hash.to_string()))
}

thread_local! {
    /// A hash's 19 MiB, kept by the thread: mapped anew for each they cost 4,864 page faults, and while they are mapped and
    /// unmapped the whole process waits for its address space.
    static MEMORY: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

fn verify_now(password: &str, hash: &PasswordHash) -> Result<bool, PortError> {
    let hash = phc::PasswordHash::new(hash.as_phc()).map_err(defect)?;
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return Err(defect("a hash without its salt or itself"));
    };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(defect)?;
    let version = hash.version.map(Version::try_from).transpose().map_err(defect)?.unwrap_or_default();
    let params = Params::try_from(&hash).map_err(defect)?;
    let mut output = vec![0; expected.len()];
    MEMORY.with_borrow_mut(|memory| {
        memory.resize(params.block_count(), Block::new());
        let argon2 = Argon2::new(algorithm, version, params);
        argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut output, memory).map_err(defect)
    })?;
    // Compared in constant time.
    Ok(phc::Output::new(&output).map_err(defect)? == *expected)
}

fn defect(error: impl std::fmt::Display) -> PortError {
    PortError::defect(Dependency::Hasher, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        pin::pin,
        sync::mpsc,
        task::Poll,
        time::{Duration, Instant},
    };
    use thread_priority::thread_schedule_policy;

    fn password(text: &str) -> NewPassword {
        NewPassword::parse(Sensitive::new(text.to_owned())).unwrap()
    }

    fn typed(text: &str) -> Sensitive<String> {
        Sensitive::new(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_right_password_matches_and_no_two_hashes_are_alike() {
        let hasher = Argon2Hasher::new(HasherSettings::default()).unwrap();
        let hash = hasher.hash(&password("correct horse")).await.unwrap();
        let again = hasher.hash(&password("correct horse")).await.unwrap();
        assert!(hash.as_phc().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_phc());
        assert_ne!(hash, again);
        assert!(hasher.verify(&typed("correct horse"), Some(&hash)).await.unwrap());
        assert!(!hasher.verify(&typed("correct horse "), Some(&hash)).await.unwrap());
        let broken = PasswordHash::from_phc("$argon2id$broken".to_owned());
        assert!(matches!(hasher.verify(&typed("x"), Some(&broken)).await, Err(PortError::Defect { .. })));
    }

    #[tokio::test]
    async fn nobody_s_password_never_matches_and_costs_the_same() {
        let hasher = Argon2Hasher::new(HasherSettings::default()).unwrap();
        assert!(hasher.dummy.as_phc().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(!hasher.verify(&typed("nobody's password"), None).await.unwrap());

        let hash = hasher.hash(&password("correct horse")).await.unwrap();
        let mut least = [Duration::MAX; 2];
        for _ in 0..5 {
            for (least, hash) in least.iter_mut().zip([Some(&hash), None]) {
                let begun = Instant::now();
                hasher.verify(&typed("wrong"), hash).await.unwrap();
                *least = begun.elapsed().min(*least);
            }
        }
        let [known, unknown] = least;
        // Generous, for a busy machine: without the dummy the two differ a thousandfold.
        assert!(unknown * 4 > known && known * 4 > unknown, "{known:?} {unknown:?}");
    }

    /// Work that says when it has begun, and ends when its sender is dropped.
    fn held() -> (mpsc::Receiver<()>, mpsc::Sender<()>, impl FnOnce() -> Result<bool, PortError> + Send + 'static) {
        let (begins, has_begun) = mpsc::channel::<()>();
        let (release, held) = mpsc::channel::<()>();
        (has_begun, release, move || {
            begins.send(()).ok();
            Ok(held.recv().is_err())
        })
    }

    /// Polls once.
    fn begin<T>(future: std::pin::Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }

    #[tokio::test]
    async fn hashing_steps_back_behind_everybody_else() {
        let hasher = Argon2Hasher::new(HasherSettings { parallel: 1, queue: 1 }).unwrap();
        let own = thread_schedule_policy().unwrap();
        let theirs = hasher.run(|| Ok(thread_schedule_policy().unwrap())).await.unwrap();
        assert_eq!((theirs, thread_schedule_policy().unwrap()), (IDLE, own));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_thread_goes_on() {
        let hasher = Argon2Hasher::new(HasherSettings { parallel: 1, queue: 1 }).unwrap();
        let broken: Result<(), _> = hasher.run(|| panic!("a test's own")).await;
        assert!(matches!(broken, Err(PortError::Defect { .. })), "{broken:?}");
        hasher.run(|| Ok(())).await.unwrap();
        assert_eq!(hasher.admitted.available_permits(), 2);
    }

    #[tokio::test]
    async fn a_full_queue_says_so_at_once() {
        let hasher = Argon2Hasher::new(HasherSettings { parallel: 1, queue: 2 }).unwrap();
        let (has_begun, release, work) = held();
        let mut first = pin!(hasher.run(work));
        let mut second = pin!(hasher.run(|| Ok(true)));
        let mut third = pin!(hasher.run(|| Ok(true)));
        assert!(begin(first.as_mut()).is_pending());
        assert!(begin(second.as_mut()).is_pending());
        assert!(begin(third.as_mut()).is_pending());
        has_begun.recv().unwrap();
        let asked = typed("correct horse");
        match begin(hasher.verify(&asked, None).as_mut()) {
            Poll::Ready(Err(PortError::Unavailable { dependency, .. })) => assert_eq!(dependency, Dependency::Hasher),
            other => panic!("{other:?}"),
        }
        drop(release);
        assert!(first.await.unwrap() && second.await.unwrap() && third.await.unwrap());
        assert_eq!(hasher.verify(&asked, None).await.ok(), Some(false), "the places are free again");
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_queue() {
        let hasher = Argon2Hasher::new(HasherSettings { parallel: 1, queue: 1 }).unwrap();
        let (has_begun, release, work) = held();
        {
            let mut begun = pin!(hasher.run(work));
            let mut waiting = pin!(hasher.run(|| Ok(true)));
            assert!(begin(begun.as_mut()).is_pending() && begin(waiting.as_mut()).is_pending());
            has_begun.recv().unwrap();
            assert_eq!(hasher.admitted.available_permits(), 0);
        }
        assert_eq!(hasher.admitted.available_permits(), 1, "work that has begun keeps its place");
        drop(release);
        hasher.run(|| Ok(())).await.unwrap();
        assert_eq!(hasher.admitted.available_permits(), 2);
    }
}
