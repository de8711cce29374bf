//! What came of all attacks, as a table.

use std::{collections::BTreeSet, fmt};

use rustix::process::geteuid;

use crate::{
    attack::Attack,
    known::known,
    verdict::{Shown, Verdict},
};

/// Characters of an explanation that the table shows. A failure is told whole.
const WIDTH: usize = 120;

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) title: String,
    pub(crate) tries: String,
    pub(crate) verdict: Verdict,
    pub(crate) shown: Shown,
}

impl Row {
    pub(crate) fn of(attack: &Attack, verdict: Verdict, shown: Shown) -> Self {
        Self { title: attack.title(), tries: attack.tries.clone(), verdict, shown }
    }

    fn group(&self) -> &str {
        self.title.split('/').next().unwrap_or_default()
    }

    fn failures(&self) -> impl Iterator<Item = String> {
        let title = &self.title;
        let broke = match (&self.verdict, known(title)) {
            (Verdict::Broke(what), None) => Some(format!("{title}: {} BROKE {what}", self.tries)),
            _ => None,
        };
        let unproved = match &self.shown {
            Shown::Failed(why) => Some(format!("{title}: its control does not reach its canary: {why}")),
            _ => None,
        };
        broke.into_iter().chain(unproved)
    }
}

pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    /// Of the run as a whole.
    pub(crate) faults: Vec<String>,
}

impl Report {
    pub(crate) fn failures(&self) -> Vec<String> {
        let rows = self.rows.iter().flat_map(Row::failures);
        rows.chain(self.unproved_groups()).chain(self.faults.iter().cloned()).collect()
    }

    /// Groups of which no control has reached anything. What an ordinary user cannot show is for root to show.
    fn unproved_groups(&self) -> Vec<String> {
        if !geteuid().is_root() {
            return Vec::new();
        }
        let groups: BTreeSet<_> = self.rows.iter().map(Row::group).collect();
        let proved: BTreeSet<_> =
            self.rows.iter().filter(|row| matches!(row.shown, Shown::Reached(_))).map(Row::group).collect();
        groups.difference(&proved).map(|group| format!("{group}: not one control reaches its canary")).collect()
    }
}

fn cut(words: &str) -> String {
    words.chars().take(WIDTH).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let (word, how) = match (&row.verdict, known(&row.title)) {
                (Verdict::Held(how), _) => ("held", how.as_str()),
                (Verdict::Absent(how), _) => ("absent", how.as_str()),
                (Verdict::Broke(_), Some(why)) => ("KNOWN", why),
                (Verdict::Broke(what), None) => ("BROKE", what.as_str()),
            };
            writeln!(out, "{:<36} {word:<6} {}", row.title, cut(how))?;
            let (word, how) = match &row.shown {
                Shown::Reached(what) => ("gets", what),
                Shown::NotHere(why) => ("cannot", why),
                Shown::Failed(why) => ("FAILS", why),
                Shown::None => continue,
            };
            writeln!(out, "    its control                      {word:<6} {}", cut(how))?;
        }
        let count = |wanted: fn(&Row) -> bool| self.rows.iter().filter(|row| wanted(row)).count();
        write!(
            out,
            "{} attacks: {} held, {} absent here, {} broke it, {} of them known; {} controls reached their canary",
            self.rows.len(),
            count(|row| matches!(row.verdict, Verdict::Held(_))),
            count(|row| matches!(row.verdict, Verdict::Absent(_))),
            count(|row| matches!(row.verdict, Verdict::Broke(_))),
            count(|row| matches!(row.verdict, Verdict::Broke(_)) && known(&row.title).is_some()),
            count(|row| matches!(row.shown, Shown::Reached(_))),
        )
    }
}
