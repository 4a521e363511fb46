use super::*;
use proptest::prelude::*;

/// A clock that stands until it is moved.
struct Hand(Mutex<Timestamp>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl Hand {
    fn forward(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now += SignedDuration::from_secs(seconds);
    }
}

fn circuit() -> (Circuit, Arc<Hand>) {
    let hand = Arc::new(Hand(Mutex::new("2026-11-30T09:00:00Z".parse().unwrap())));
    (Circuit::new("test", Arc::clone(&hand) as Arc<dyn Clock>, CircuitPolicy::STANDARD), hand)
}

fn fail(circuit: &Circuit, times: u32) {
    for _ in 0..times {
        circuit.try_enter().unwrap().failed();
    }
}

#[test]
fn failures_in_a_row_open_it_and_others_do_not() {
    let (circuit, _) = circuit();
    for _ in 0..10 {
        fail(&circuit, 4);
        circuit.try_enter().unwrap().succeeded();
    }
    fail(&circuit, 5);
    assert!(circuit.try_enter().is_err());
}

#[test]
fn one_call_sees_whether_it_is_back() {
    let (circuit, hand) = circuit();
    fail(&circuit, 5);
    hand.forward(1);
    let probe = circuit.try_enter().unwrap();
    assert!(circuit.try_enter().is_err(), "one at a time");
    probe.failed();
    hand.forward(1);
    assert!(circuit.try_enter().is_err(), "the pause is doubled");
    hand.forward(1);
    circuit.try_enter().unwrap().succeeded();
    assert!((0..10).all(|_| circuit.try_enter().is_ok()));
}

#[test]
fn the_pause_has_a_bound() {
    let (circuit, hand) = circuit();
    fail(&circuit, 5);
    for _ in 0..20 {
        hand.forward(30);
        circuit.try_enter().unwrap().failed();
    }
}

#[test]
fn who_gives_up_on_a_probe_lets_the_next_be_it() {
    let (circuit, hand) = circuit();
    fail(&circuit, 5);
    hand.forward(1);
    drop(circuit.try_enter().unwrap());
    let lost = circuit.try_enter().unwrap();
    assert!(circuit.try_enter().is_err());
    hand.forward(30);
    circuit.try_enter().unwrap().succeeded();
    lost.failed();
    circuit.try_enter().unwrap().succeeded();
}

#[test]
fn what_began_before_it_opened_does_not_close_it() {
    let (circuit, _) = circuit();
    let early = circuit.try_enter().unwrap();
    fail(&circuit, 5);
    early.succeeded();
    assert!(circuit.try_enter().is_err());
}

#[test]
fn a_clock_that_jumps_back_does_not_keep_it_open() {
    let (circuit, hand) = circuit();
    fail(&circuit, 5);
    hand.forward(-3_600);
    circuit.try_enter().unwrap().succeeded();
    assert!(circuit.try_enter().is_ok());
}

#[tokio::test]
async fn who_comes_while_one_is_out_waits_for_what_it_sees() {
    let long = Duration::from_secs(60);
    let (circuit, hand) = circuit();
    for back in [true, false] {
        fail(&circuit, 5);
        hand.forward(30);
        let probe = circuit.try_enter().unwrap();
        let crowd = futures::future::join_all((0..7).map(|_| circuit.enter(long)));
        let look = async {
            tokio::task::yield_now().await;
            if back { probe.succeeded() } else { probe.failed() }
        };
        let (entered, ()) = futures::join!(crowd, look);
        assert!(entered.iter().all(|one| one.is_ok() == back), "{back}");
        entered.into_iter().flatten().for_each(Pass::succeeded);
    }
    hand.forward(60);
    let _probe = circuit.try_enter().unwrap();
    assert!(circuit.enter(Duration::from_millis(10)).await.is_err(), "not for ever");
}

#[tokio::test]
async fn its_state_is_a_gauge() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _here = metrics::set_default_local_recorder(&recorder);
    let (circuit, hand) = circuit();
    let shows = |state: u8| {
        let line = format!("amrutam_circuit_state{{destination=\"test\"}} {state}\n");
        assert!(metrics.render().contains(&line), "{}", metrics.render());
    };
    shows(0);
    fail(&circuit, 5);
    shows(2);
    assert_eq!(circuit.enter(Duration::ZERO).await.map(drop), Err(CircuitOpen("test")));
    assert!(metrics.render().contains("amrutam_circuit_refused_total{destination=\"test\"} 1\n"));
    hand.forward(1);
    let probe = circuit.try_enter().unwrap();
    shows(1);
    probe.succeeded();
    shows(0);
}

proptest! {
    /// Whatever happened, it passes calls again at most the longest pause and a lost probe later; while it is not closed,
    /// at most one call is out per probe limit.
    #[test]
    fn it_never_stays_shut(steps in proptest::collection::vec((0u8..5, 0i64..40), 0..80)) {
        let (circuit, hand) = circuit();
        let mut under_way = Vec::new();
        for (what, seconds) in steps {
            hand.forward(seconds);
            match what {
                0 => under_way.extend(circuit.try_enter()),
                1 => under_way.pop().into_iter().for_each(Pass::succeeded),
                2 => under_way.pop().into_iter().for_each(Pass::failed),
                3 => drop(under_way.pop()),
                _ => circuit.try_enter().into_iter().for_each(Pass::failed),
            }
        }
        hand.forward(30);
        let probe = circuit.try_enter();
        prop_assert!(probe.is_ok());
        probe.into_iter().for_each(Pass::succeeded);
        prop_assert!(circuit.try_enter().is_ok());
    }
}
