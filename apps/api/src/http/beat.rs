//! In a crowd, requests set out together, on a beat: each of the steps that follow, to Redis, the locks and PostgreSQL, then takes
//! several of them along in one hand-over, and a hand-over costs more than what is handed over.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// From one beat to the next. At 500 requests/s six set out on each; with 20 ms the wait costs more than the company saves.
const BEAT: Duration = Duration::from_millis(12);
/// So many are a crowd that come within a beat, as at 500 requests/s and rarely at 250, and are under way at one time, as those of
/// one client never are who waits for each answer. With fewer a request sets out at once.
const CROWD: u32 = 6;

/// When requests set out.
#[derive(Debug)]
pub(crate) struct Beat {
    began: Instant,
    arrivals: Mutex<Arrivals>,
    under_way: AtomicU32,
}

/// A request that has come and is not answered yet.
#[derive(Debug)]
pub(crate) struct UnderWay<'a>(&'a AtomicU32);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Arrivals {
    /// Which beat this is.
    beat: u128,
    /// Who has come since it began.
    now: u32,
    /// Who came in the one before.
    before: u32,
}

impl Arrivals {
    /// Counts one, and tells whether as many come as are a crowd.
    fn add(&mut self, beat: u128) -> bool {
        if beat != self.beat {
            let before = if beat == self.beat + 1 { self.now } else { 0 };
            *self = Self { beat, now: 0, before };
        }
        self.now = self.now.saturating_add(1);
        self.now.max(self.before) >= CROWD
    }
}

impl Default for Beat {
    fn default() -> Self {
        Self { began: Instant::now(), arrivals: Mutex::default(), under_way: AtomicU32::new(0) }
    }
}

impl Beat {
    /// Until this request sets out: at once, or with the others on the next beat. To be kept until it is answered.
    pub(crate) async fn set_out(&self) -> UnderWay<'_> {
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        let request = UnderWay(&self.under_way);
        let (elapsed, many_come) = {
            let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            // Under the lock: beats are counted in their order.
            let elapsed = self.began.elapsed();
            (elapsed, arrivals.add(elapsed.as_nanos() / BEAT.as_nanos()))
        };
        if many_come && others + 1 >= CROWD {
            let into = elapsed.as_nanos() % BEAT.as_nanos();
            let rest = BEAT.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(0)));
            sleep_until(Instant::now() + rest).await;
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use tokio::time::sleep;

    /// When each of those sets out who come after so many milliseconds and then work for so many, in milliseconds.
    async fn set_out(come: &[u64], work: u64) -> Vec<u128> {
        let beat = Beat::default();
        let one = async |after: &u64| {
            sleep(Duration::from_millis(*after)).await;
            let _request = beat.set_out().await;
            let set_out = beat.began.elapsed().as_millis();
            sleep(Duration::from_millis(work)).await;
            set_out
        };
        join_all(come.iter().map(one)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_set_out_at_once() {
        let few = [1, 2, 3, 4, 5, 13, 14, 15, 60];
        assert_eq!(set_out(&few, 100).await, few.map(u128::from));
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_sets_out_together_on_the_beat() {
        // The first of it can't know; who comes in the beat after does.
        assert_eq!(set_out(&[1, 2, 3, 4, 5, 6, 8, 14, 20], 20).await, [1, 2, 3, 4, 5, 12, 12, 24, 24]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_that_has_gone_holds_up_nobody() {
        assert_eq!(set_out(&[1, 1, 1, 1, 1, 1, 14, 27, 100], 100).await, [1, 1, 1, 1, 1, 12, 24, 27, 100]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_waits_for_each_answer_is_no_crowd() {
        let many: Vec<u64> = (0..40).collect();
        assert_eq!(set_out(&many, 1).await, (0..40).collect::<Vec<u128>>());
    }
}
