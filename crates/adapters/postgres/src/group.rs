//! Group commit: calls that come while others are under way wait for these to end, and then go together, in one round trip and
//! one transaction. A person's call that comes alone goes at once; in a crowd the next group waits a moment for more. So a crowd
//! costs the server far less than its number. Nobody waits for a group that is stuck: those who have waited for [`PATIENCE`] go
//! beside it, as long as there are turns.

use crate::error::{DbError, unreadable};
use amrutam_kernel::{CommitError, Dependency, PortError};
use futures::future::join_all;
use std::{
    collections::VecDeque,
    future::Future,
    mem,
    pin::pin,
    slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::{sleep, timeout},
};

/// How long the group before may take until the next goes beside it. Two at a time from the start would be half as large each,
/// and a group costs the server as much as two calls before it does anything for its calls. A healthy one takes 2 to 10 ms.
const PATIENCE: Duration = Duration::from_millis(25);
/// Calls in a group. Larger ones gain little, and a refused one is repeated one by one.
const MOST: usize = 32;

/// What a group waits for before it goes.
#[derive(Clone, Copy)]
pub(crate) struct Company {
    /// How long at most.
    pub(crate) linger: Duration,
    /// With so many calls it goes without waiting on.
    pub(crate) enough: usize,
    /// Whether it waits also when no group was under way before: its first call then comes alone only by chance.
    pub(crate) from_the_first: bool,
}

/// Where people wait: a fraction of what they wait for anyway, and nothing for who comes alone.
pub(crate) const PEOPLE: Company = Company { linger: Duration::from_millis(4), enough: MOST, from_the_first: false };
/// Where nobody waits but the worker. What it does with mails comes in bursts: a claim's reads all at once, the ends of its sends
/// within a few milliseconds, and the next claim waits for them.
pub(crate) const WORKER: Company = Company { linger: Duration::from_millis(8), enough: MOST, from_the_first: true };

/// A request of a kind that goes in groups.
pub(crate) trait Together: Sized + Send + Sync + 'static {
    /// Whom to ask.
    type Db: Clone + Send + Sync + 'static;
    /// What each request gets.
    type Answer: Send + 'static;
    /// How many groups may be under way when those before take long. Where people wait: more than one, so that one which waits
    /// for a lock does not hold up all others.
    const ABREAST: usize;
    /// What the group that follows another waits for: whoever waited while the first was under way is in a crowd, and in a
    /// crowd the server's time is dearer than theirs.
    const COMPANY: Company;
    /// Until the group that waits for company goes without.
    fn linger(_db: &Self::Db) -> impl Future<Output = ()> + Send {
        sleep(Self::COMPANY.linger)
    }
    /// As many answers as requests, in their order.
    fn ask(db: &Self::Db, requests: &[Self]) -> impl Future<Output = Result<Vec<Self::Answer>, DbError>> + Send;
}

/// Why a request was not served.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server refused this request.
    Own(DbError),
    /// The group as a whole had no answer.
    Shared(PortError),
}

impl From<Failure> for PortError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Own(error) => error.into(),
            Failure::Shared(error) => error,
        }
    }
}

impl From<Failure> for CommitError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Own(error) => error.into(),
            Failure::Shared(error) => error.into(),
        }
    }
}

type Outcome<Q> = Result<<Q as Together>::Answer, Failure>;
type Waiting<Q> = (Q, oneshot::Sender<Outcome<Q>>);

struct Line<Q: Together> {
    waiting: VecDeque<Waiting<Q>>,
    running: usize,
}

impl<Q: Together> Line<Q> {
    /// Another turn, unless as many as that are taken.
    fn take_turn(&mut self, most: usize) -> bool {
        let free = self.running < most;
        self.running += usize::from(free);
        free
    }
}

/// The calls of one kind. Clones are the same line.
pub(crate) struct Group<Q: Together>(Arc<Shared<Q>>);

struct Shared<Q: Together> {
    line: Mutex<Line<Q>>,
    /// Told when as many wait as are enough.
    enough: Notify,
}

impl<Q: Together> Clone for Group<Q> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Q: Together> Default for Group<Q> {
    fn default() -> Self {
        let line = Mutex::new(Line { waiting: VecDeque::new(), running: 0 });
        Self(Arc::new(Shared { line, enough: Notify::new() }))
    }
}

impl<Q: Together> Group<Q> {
    /// What this request gets. A caller who goes away before the turn costs nothing; one who goes later cuts short nobody
    /// else's call, and the group only when all its callers are gone.
    pub(crate) async fn call(&self, db: &Q::Db, request: Q) -> Outcome<Q> {
        let (answer, mut answered) = oneshot::channel();
        if self.join(request, answer) {
            self.serve(db);
        }
        let outcome = loop {
            match timeout(PATIENCE, &mut answered).await {
                Ok(outcome) => break outcome,
                Err(_) if self.goes_beside() => self.serve(db),
                Err(_) => {}
            }
        };
        let broke_down = |_| Failure::Shared(PortError::defect(Dependency::Database, "a group of calls broke down"));
        outcome.map_err(broke_down)?
    }

    /// Whether the newcomer leads a group: nothing is under way.
    fn join(&self, request: Q, answer: oneshot::Sender<Outcome<Q>>) -> bool {
        let mut line = self.line();
        line.waiting.push_back((request, answer));
        if line.waiting.len() >= Q::COMPANY.enough {
            self.0.enough.notify_waiters();
        }
        line.take_turn(1)
    }

    /// Until enough wait, or have waited long enough; at once when nobody does.
    async fn gather(&self, db: &Q::Db) {
        let enough = self.0.enough.notified();
        let mut enough = pin!(enough);
        // From here on nobody is missed who comes before the next look.
        enough.as_mut().enable();
        if (1..Q::COMPANY.enough).contains(&self.line().waiting.len()) {
            tokio::select! {
                () = Q::linger(db) => {}
                () = enough => {}
            }
        }
    }

    /// Whether those who wait go now, beside a group that takes long.
    fn goes_beside(&self) -> bool {
        let mut line = self.line();
        !line.waiting.is_empty() && line.take_turn(Q::ABREAST)
    }

    /// Group after group, until nobody waits. The turn has been taken.
    fn serve(&self, db: &Q::Db) {
        let (mut turn, db) = (Turn { group: self.clone(), held: true, used: false }, db.clone());
        tokio::spawn(async move {
            if Q::COMPANY.from_the_first {
                turn.group.gather(&db).await;
            }
            while let Some(group) = turn.next() {
                let (requests, mut callers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
                let all_gone = join_all(callers.iter_mut().map(oneshot::Sender::closed));
                let outcomes = tokio::select! {
                    outcomes = serve(&db, &requests) => outcomes,
                    _ = all_gone => continue,
                };
                for (caller, outcome) in callers.into_iter().zip(outcomes) {
                    // Who asked may have gone meanwhile.
                    drop(caller.send(outcome));
                }
                turn.group.gather(&db).await;
            }
        });
    }

    fn line(&self) -> MutexGuard<'_, Line<Q>> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a group by one call. When the server refuses that, because of one of them, then each alone.
async fn serve<Q: Together>(db: &Q::Db, requests: &[Q]) -> Vec<Outcome<Q>> {
    let all = |error: PortError| requests.iter().map(|_| Err(Failure::Shared(error.clone()))).collect();
    match Q::ask(db, requests).await {
        Ok(answers) if answers.len() == requests.len() => answers.into_iter().map(Ok).collect(),
        Ok(_) => all(unreadable("not as many answers as requests")),
        Err(error) if requests.len() == 1 => vec![Err(Failure::Own(error))],
        Err(error) if error.leaves_connection_sound() => {
            let alone = async |request| {
                let answers = Q::ask(db, slice::from_ref(request)).await.map_err(Failure::Own)?;
                answers.into_iter().next().ok_or_else(|| Failure::Shared(unreadable("no answer")))
            };
            join_all(requests.iter().map(alone)).await
        }
        Err(error) => all(error.into()),
    }
}

/// The right to serve groups, given back when nobody waits, or when serving breaks down.
struct Turn<Q: Together> {
    group: Group<Q>,
    held: bool,
    used: bool,
}

impl<Q: Together> Turn<Q> {
    fn next(&mut self) -> Option<Vec<Waiting<Q>>> {
        let mut line = self.group.line();
        line.waiting.retain(|(_, caller)| !caller.is_closed());
        // Of several turns one goes on: each group of two would be half as large.
        let is_spare = self.used && line.running > 1;
        self.used = true;
        if is_spare || line.waiting.is_empty() {
            // Under the same lock: who comes next sees a free turn, or somebody who goes on.
            line.running -= 1;
            self.held = false;
            return None;
        }
        let size = line.waiting.len().min(MOST);
        Some(line.waiting.drain(..size).collect())
    }
}

impl<Q: Together> Drop for Turn<Q> {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        let mut line = self.group.line();
        line.running -= 1;
        // With nobody left to serve them, those who wait must hear of it.
        let abandoned = if line.running == 0 { mem::take(&mut line.waiting) } else { VecDeque::new() };
        drop(line);
        drop(abandoned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::result::{DatabaseErrorKind, Error};
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };
    use tokio::{sync::Semaphore, task::JoinHandle};

    /// A server that lets groups through one by one.
    #[derive(Clone)]
    struct Server {
        gate: Arc<Semaphore>,
        asked: Arc<AtomicUsize>,
    }

    struct Number(usize);

    const ABREAST: usize = 3;
    const BREAKS: Number = Number(13);
    const REFUSED: Number = Number(17);

    impl Together for Number {
        type Db = Server;
        /// The number's double, and the size of its group.
        type Answer = (usize, usize);
        const ABREAST: usize = ABREAST;
        const COMPANY: Company = Company { linger: Duration::ZERO, ..PEOPLE };
        async fn ask(server: &Server, numbers: &[Self]) -> Result<Vec<(usize, usize)>, DbError> {
            server.asked.fetch_add(1, Ordering::Relaxed);
            server.gate.acquire().await.unwrap().forget();
            assert!(numbers.iter().all(|number| number.0 != BREAKS.0), "broken");
            if numbers.iter().any(|number| number.0 == REFUSED.0) {
                return Err(
                    Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new("amrutam:stale".to_owned())).into()
                );
            }
            Ok(numbers.iter().map(|number| (number.0 * 2, numbers.len())).collect())
        }
    }

    struct World {
        server: Server,
        group: Group<Number>,
    }

    impl World {
        fn new(permits: usize) -> Self {
            let server = Server { gate: Arc::new(Semaphore::new(permits)), asked: Arc::default() };
            Self { server, group: Group::default() }
        }

        fn call(&self, number: usize) -> JoinHandle<Outcome<Number>> {
            let (group, server) = (self.group.clone(), self.server.clone());
            tokio::spawn(async move { group.call(&server, Number(number)).await })
        }

        /// Calls with the numbers from 0, one in each turn.
        async fn take_all_turns(&self) -> Vec<JoinHandle<Outcome<Number>>> {
            let mut calls = Vec::new();
            for number in 0..ABREAST {
                calls.push(self.call(number));
                while self.server.asked.load(Ordering::Relaxed) <= number {
                    tokio::task::yield_now().await;
                }
            }
            calls
        }

        /// Until `count` calls wait for a turn.
        async fn waiting(&self, count: usize) {
            while self.group.line().waiting.len() < count {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn calls_that_come_while_others_run_go_together_and_get_their_own_answers() {
        let world = World::new(0);
        let mut calls = world.take_all_turns().await;
        calls.extend((ABREAST..ABREAST + 5).map(|number| world.call(number)));
        world.waiting(5).await;
        world.server.gate.add_permits(ABREAST + 1);
        for (number, call) in calls.into_iter().enumerate() {
            let size = if number < ABREAST { 1 } else { 5 };
            assert_eq!(call.await.unwrap().unwrap(), (number * 2, size));
        }
        assert_eq!((world.server.asked.load(Ordering::Relaxed), world.group.line().running), (ABREAST + 1, 0));
    }

    /// One whose groups are held back until the test lets them go, and never go beside each other.
    struct Held;

    impl Together for Held {
        /// For the answers, and for the groups that follow.
        type Db = (Arc<Semaphore>, Arc<Semaphore>);
        /// The size of its group.
        type Answer = usize;
        const ABREAST: usize = 1;
        const COMPANY: Company = PEOPLE;

        async fn linger((_, company): &Self::Db) {
            company.acquire().await.unwrap().forget();
        }

        async fn ask((answers, _): &Self::Db, requests: &[Self]) -> Result<Vec<usize>, DbError> {
            answers.acquire().await.unwrap().forget();
            Ok(vec![requests.len(); requests.len()])
        }
    }

    #[tokio::test]
    async fn in_a_crowd_the_next_group_waits_for_company() {
        let db = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let group = Group::<Held>::default();
        let call = || {
            let (group, db) = (group.clone(), db.clone());
            tokio::spawn(async move { group.call(&db, Held).await.unwrap() })
        };
        let waiting = async |count| {
            while group.line().waiting.len() != count {
                tokio::task::yield_now().await;
            }
        };
        let first = call();
        while group.line().running == 0 || !group.line().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        let waits = call();
        waiting(1).await;
        db.0.add_permits(2);
        assert_eq!(first.await.unwrap(), 1, "whoever comes alone goes at once");
        // The server is free, and the next group has not gone: who comes now goes along.
        let comes = call();
        waiting(2).await;
        db.1.add_permits(1);
        assert_eq!((waits.await.unwrap(), comes.await.unwrap()), (2, 2));
    }

    /// One whose groups wait from the first, for as long as the test lets them, and go when three are there.
    struct Patient;

    impl Together for Patient {
        type Db = Arc<Semaphore>;
        /// The size of its group.
        type Answer = usize;
        const ABREAST: usize = 1;
        const COMPANY: Company = Company { enough: 3, ..WORKER };

        async fn linger(company: &Self::Db) {
            company.acquire().await.unwrap().forget();
        }

        async fn ask(_: &Self::Db, requests: &[Self]) -> Result<Vec<usize>, DbError> {
            Ok(vec![requests.len(); requests.len()])
        }
    }

    #[tokio::test]
    async fn the_workers_groups_wait_from_the_first_and_go_when_enough_are_there() {
        let company = Arc::new(Semaphore::new(0));
        let group = Group::<Patient>::default();
        let call = || {
            let (group, company) = (group.clone(), Arc::clone(&company));
            tokio::spawn(async move { group.call(&company, Patient).await.unwrap() })
        };
        for call in [call(), call(), call()] {
            assert_eq!(call.await.unwrap(), 3, "nobody has let them go");
        }
        company.add_permits(1);
        assert_eq!(call().await.unwrap(), 1, "enough never came");
    }

    #[tokio::test]
    async fn a_group_that_is_stuck_holds_up_others_for_a_moment_and_then_one_turn_goes_on() {
        let world = World::new(0);
        let stuck = world.take_all_turns().await;
        let waits: Vec<_> = (20..24).map(|number| world.call(number)).collect();
        world.waiting(4).await;
        // One of the stuck ends and gives up its turn, since two others have one; those who wait go beside these.
        world.server.gate.add_permits(1);
        while world.server.asked.load(Ordering::Relaxed) == ABREAST {
            tokio::task::yield_now().await;
        }
        world.server.gate.add_permits(ABREAST);
        for call in waits {
            assert_eq!(call.await.unwrap().unwrap().1, 4);
        }
        for call in stuck {
            assert!(call.await.unwrap().is_ok());
        }
        assert_eq!(world.group.line().running, 0);
    }

    #[tokio::test]
    async fn who_goes_away_before_the_turn_costs_nothing_and_holds_up_nobody() {
        let world = World::new(0);
        let first = world.take_all_turns().await;
        let gone = world.call(7);
        world.waiting(1).await;
        let last = world.call(8);
        world.waiting(2).await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        world.server.gate.add_permits(ABREAST + 1);
        assert_eq!(last.await.unwrap().unwrap(), (16, 1));
        for call in first {
            assert!(call.await.unwrap().is_ok());
        }
    }

    #[tokio::test]
    async fn a_group_goes_on_as_long_as_somebody_waits() {
        let world = World::new(0);
        let first = world.take_all_turns().await;
        for call in &first {
            call.abort();
        }
        // Their turns are free again although the server never answered.
        while world.group.line().running > 0 {
            tokio::task::yield_now().await;
        }
        let (gone, stays) = (world.call(7), world.call(8));
        while world.server.asked.load(Ordering::Relaxed) == ABREAST {
            tokio::task::yield_now().await;
        }
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        world.server.gate.add_permits(1);
        assert_eq!(stays.await.unwrap().unwrap(), (16, 2));
    }

    #[tokio::test]
    async fn one_that_is_refused_does_not_refuse_the_others() {
        let world = World::new(0);
        let first = world.take_all_turns().await;
        let (refused, other) = (world.call(REFUSED.0), world.call(8));
        world.waiting(2).await;
        world.server.gate.add_permits(ABREAST + 3);
        assert!(matches!(refused.await.unwrap().map_err(CommitError::from), Err(CommitError::Stale)));
        assert_eq!(other.await.unwrap().unwrap(), (16, 1));
        drop(first);
    }

    #[tokio::test]
    async fn a_run_that_breaks_down_is_told_to_its_callers_and_ends_there() {
        let world = World::new(100);
        assert!(matches!(world.call(BREAKS.0).await.unwrap(), Err(Failure::Shared(_))));
        let next = tokio::time::timeout(Duration::from_secs(5), world.call(1)).await;
        assert_eq!(next.unwrap().unwrap().unwrap(), (2, 1));
        assert_eq!(world.group.line().running, 0);
    }
}
