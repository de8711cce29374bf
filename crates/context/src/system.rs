//! The system prompt: the agent's own, and what it must know of its surroundings.

/// What the agent has around it.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Whether any tool acts in the sandbox.
    pub has_sandbox: bool,
    /// The input files' paths inside.
    pub uploads: Vec<String>,
}

/// The agent's own prompt comes first: it is what its user wrote, and it stays the same from turn to turn.
pub fn system(own: Option<&str>, surroundings: &Surroundings) -> String {
    let mut parts: Vec<String> = own.into_iter().map(str::to_owned).collect();
    if surroundings.has_sandbox {
        parts.push(SANDBOX.to_owned());
        if !surroundings.uploads.is_empty() {
            parts.push(format!("Input files, read-only:\n{}", surroundings.uploads.join("\n")));
        }
    }
    parts.join("\n\n")
}

const SANDBOX: &str = "\
You work in a Linux sandbox of your own, through your tools. It belongs to this session alone, and keeps its files, its \
shell and its background processes between calls.
- Your working directory is /workspace.
- What you leave in /mnt/session/outputs is given to the user as files when you finish. Put every result there that the \
user should get.
- Input files are in /mnt/session/uploads and cannot be changed; copy what you want to change.
- The sandbox has no network.
- When a command fails, read its output, find the cause, and try again. Check a result before you report it.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_only_talks_is_told_nothing_of_a_sandbox() {
        assert_eq!(system(Some("Be brief."), &Surroundings::default()), "Be brief.");
        assert_eq!(system(None, &Surroundings::default()), "");
    }

    #[test]
    fn an_agent_with_tools_is_told_where_it_is() {
        let surroundings = Surroundings { has_sandbox: true, uploads: vec!["/mnt/session/uploads/data.csv".into()] };
        insta::assert_snapshot!(system(Some("Be brief."), &surroundings));
    }
}
