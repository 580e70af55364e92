//! What is asked for, without setting it up.

use super::tasks;
use std::collections::BTreeSet;

#[test]
fn every_task_has_one_name_for_each_contestant() {
    let all = tasks();
    let names: BTreeSet<(&str, &str)> = all
        .iter()
        .map(|(task, who, _)| (task.as_str(), *who))
        .collect();
    assert_eq!(names.len(), all.len());
}

#[test]
fn the_goals_ask_for_tasks_that_there_are() {
    let known = tasks();
    let goals = crate::report::GOALS.iter();
    let rows = goals.flat_map(|goal| [Some(goal.row), goal.over]).flatten();
    let mut asked = rows.filter(|(bench, ..)| *bench == "scale").peekable();
    assert!(asked.peek().is_some());
    for (_, task, who, _) in asked {
        let found = known
            .iter()
            .any(|(name, whose, _)| name == task && *whose == who);
        assert!(found, "{task}, {who}");
    }
}
