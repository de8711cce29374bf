//! Everything as one list of records: a part of an export begins after as many as were given before.

use std::iter;

use async_trait::async_trait;
use wire::SessionId;

use super::log::Log;
use super::{Memory, Volatile, failed};
use crate::{Part, Record, Result, Transfer};

impl Memory {
    /// In an order that stays while nothing is written.
    fn records(&self) -> impl Iterator<Item = Record> {
        let documents = self.kept.documents.all().cloned().map(Record::Document);
        let logs = self.logs.iter().flat_map(|(session, log)| log_records(*session, log));
        let answers = self.kept.answers.all().cloned().map(Record::Answer);
        let items = self.kept.items.all().cloned().map(Record::Item);
        let settings = self.settings.iter();
        let settings = settings.map(|(name, value)| Record::Setting { name: name.clone(), value: value.clone() });
        let blobs = self.blobs.iter().map(|((workspace, id), bytes)| Record::Blob {
            workspace: *workspace,
            id: id.clone(),
            size: bytes.len() as u64,
        });
        documents.chain(logs).chain(answers).chain(items).chain(settings).chain(blobs)
    }

    fn import(&mut self, record: Record) -> Result<()> {
        match record {
            Record::Document(document) => self.kept.documents.insert(document)?,
            // The head is counted again, from the rows.
            Record::Session { session, workspace, head: _, epoch, runnable, summary } => {
                if self.logs.contains_key(&session) {
                    return Err(failed(format!("the session {session} exists")));
                }
                let mut log = Log::new(workspace, summary, runnable);
                log.epoch = epoch;
                self.logs.insert(session, log);
            }
            Record::Row { session, row } => {
                let log = self.log_of(session)?;
                let expected = log.head() + 1;
                if row.position != expected {
                    return Err(failed(format!("the row for position {expected} says {}", row.position)));
                }
                log.rows.push(row);
            }
            Record::Covered { session, key, position } => {
                self.log_of(session)?.covered.insert(key, position);
            }
            Record::Answer(answer) => self.kept.answers.keep(answer),
            Record::Item(item) => self.kept.items.enqueue(item),
            Record::Setting { name, value } => {
                self.settings.insert(name, value);
            }
            Record::Blob { .. } => {}
        }
        Ok(())
    }

    fn log_of(&mut self, session: SessionId) -> Result<&mut Log> {
        self.logs.get_mut(&session).ok_or_else(|| failed(format!("there is no session {session} yet")))
    }
}

fn log_records(session: SessionId, log: &Log) -> impl Iterator<Item = Record> {
    let header = Record::Session {
        session,
        workspace: log.workspace,
        head: log.head(),
        epoch: log.epoch,
        runnable: log.runnable,
        summary: log.summary,
    };
    let rows = log.rows.iter().map(move |row| Record::Row { session, row: row.clone() });
    let covered = log.covered.iter().map(move |(key, position)| Record::Covered {
        session,
        key: key.clone(),
        position: *position,
    });
    iter::once(header).chain(rows).chain(covered)
}

#[async_trait]
impl Transfer for Volatile {
    async fn part(&self, after: Option<String>, limit: usize) -> Result<Part> {
        let memory = self.memory.lock();
        let from = after.map_or(Ok(0), |after| after.parse::<usize>().map_err(failed))?;
        let records: Vec<Record> = memory.records().skip(from).take(limit).collect();
        let to = from + records.len();
        let next = memory.records().nth(to).map(|_| to.to_string());
        Ok(Part { records, next })
    }

    async fn import(&self, records: Vec<Record>) -> Result<()> {
        let mut memory = self.memory.lock();
        let mut copy = memory.clone();
        records.into_iter().try_for_each(|record| copy.import(record))?;
        *memory = copy;
        Ok(())
    }

    async fn is_empty(&self) -> Result<bool> {
        Ok(self.memory.lock().records().next().is_none())
    }

    /// Memory has no files.
    async fn faults(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
