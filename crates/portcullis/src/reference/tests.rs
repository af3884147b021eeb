//! The server beside its reference model, in random worlds.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::generate::worlds;
use super::model::{Reference, Use};
use super::trial::Trial;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(1_000),
        // A world that failed takes some steps until it can be read.
        max_shrink_iters: 8_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_listed_can_be_used_and_both_are_what_the_documentation_says(world in worlds()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let agreed = runtime.block_on(async { Trial::begin(&world)?.run().await });
        prop_assert!(agreed.is_ok(), "{}", agreed.unwrap_err());
    }
}

#[test]
fn random_worlds_show_every_face_of_a_decision() {
    let mut runner = TestRunner::deterministic();
    let (mut runs, mut disabled, mut denied, mut challenged, mut told) = (0, 0, 0, 0, 0);
    let mut changed = 0;
    for _ in 0..500 {
        let world = worlds().new_tree(&mut runner).unwrap().current();
        let mut reference = Reference::new(&world);
        for caller in &world.callers {
            for at in 0..world.components.len() {
                match reference.used(caller, at) {
                    Use::Runs(_) => runs += 1,
                    Use::Absent if !reference.shown_by_server(&world.components[at]) => {
                        disabled += 1
                    }
                    Use::Absent => denied += 1,
                    Use::Challenged(_) => challenged += 1,
                    Use::Told => told += 1,
                }
            }
            let before = reference.listed(caller);
            world.steps.iter().for_each(|step| _ = reference.step(step));
            changed += usize::from(reference.listed(caller) != before);
        }
    }
    let counts = [runs, disabled, denied, challenged, told, changed];
    assert!(counts.iter().all(|count| *count >= 20), "{counts:?}");
}
