//! What is counted.

use super::Count;

#[test]
fn result_lines_add_up_and_others_do_not_count() {
    let mut count = Count::default();
    count.add("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.02s");
    count.add("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.5s");
    count.add("7 passed, 7 failed");
    assert_eq!(
        count,
        Count {
            passed: 14,
            failed: 1,
            ignored: 1
        }
    );
}
