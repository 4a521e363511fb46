//! The demonstration data, also when making it is cut off.

use amrutam_tests::support::{Options, Person, Process, SOON, assignment, environment, on_stack, until};
use std::{collections::BTreeMap, time::Duration};

#[test]
fn a_seed_that_is_cut_off_is_finished_by_the_next() {
    on_stack(Options::named("seed"), async |stack| {
        let sql = stack.sql().await;
        let env_file = environment().logs.join("demo.env").to_string_lossy().into_owned();
        let arguments = ["seed", "--env-file", &env_file];
        let seed = || Process::new("seed", "amrutamctl", stack.settings()).with_arguments(&arguments);
        for reached in [
            "SELECT count(*) >= 7 FROM doctors",
            "SELECT count(*) >= 9 FROM consultations",
            "SELECT count(*) >= 3 FROM consultations WHERE starts_at > now()",
        ] {
            let process = seed();
            process.start();
            until(reached, SOON, async || sql.value::<String>(reached).await == "t").await;
            process.kill();
            let done = "SELECT count(*) FROM accounts WHERE role = 'admin'";
            assert_eq!(sql.value::<u32>(done).await, 0, "cut off too late");
        }
        for said in ["seeded 40 practitioners, 12 patients", "has been seeded before"] {
            let process = seed();
            process.start();
            assert!(process.ended(Duration::from_secs(60)).await.success(), "{}", process.log());
            assert!(process.log().lines().last().unwrap_or_default().contains(said), "{}", process.log());
        }
        let written = std::fs::read_to_string(&env_file).expect("the log-ins");
        let log_ins: BTreeMap<_, _> = written.lines().filter_map(assignment).collect();
        let [email, password] = ["DEMO_PATIENT_EMAIL", "DEMO_PATIENT_PASSWORD"].map(|name| &*log_ins[name]);
        let patient = Person::log_in(&stack.anonymous(), email, password).await;
        for (expected, query) in [
            (0, "SELECT count(*) FROM doctors WHERE status <> 'listed'"),
            (
                40,
                "SELECT count(DISTINCT doctor_id) FROM slots WHERE status = 'open' AND starts_at > now() + interval '50 days'",
            ),
            (53, "SELECT count(*) FROM accounts"),
            (
                0,
                "SELECT count(*) FROM consultations WHERE starts_at < now() AND status IN ('confirmed', 'in_progress')",
            ),
            (
                0,
                "SELECT count(*) FROM (SELECT 1 FROM consultations GROUP BY doctor_id, patient_id, starts_at < now() HAVING count(*) > 1) AS twice",
            ),
            (
                1,
                &*format!(
                    "SELECT count(*) FROM consultations c JOIN doctors d ON d.id = c.doctor_id
                     WHERE d.registration_number LIKE 'DEMO-%-1000' AND c.starts_at > now() AND c.patient_id = '{}'",
                    patient.id
                ),
            ),
        ] {
            assert_eq!(sql.value::<u32>(query).await, expected, "{query}");
        }
    });
}
