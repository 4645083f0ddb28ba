//! Replays every kept fuzz input through the function that its target fuzzes: none may panic.

use std::path::Path;

#[test]
#[expect(clippy::disallowed_methods, reason = "a test may read files")]
fn no_kept_input_panics() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, target) in tabard_broker::fuzzing::TARGETS {
        let mut inputs = 0;
        for entry in std::fs::read_dir(corpora.join(name)).unwrap() {
            target(&std::fs::read(entry.unwrap().path()).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no seeds");
    }
}
