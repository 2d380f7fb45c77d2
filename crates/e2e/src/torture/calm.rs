//! Nobody knocks for a while: all that was lost shows, and everything has to close, at its time.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use super::snapshot::Snapshot;
use super::{Trial, leases, now, others};
use crate::process::{PATIENCE, await_until};
use crate::{LabError, Result};

impl Trial {
    pub(super) fn calm(&mut self) -> Result<()> {
        self.knocker.pause();
        self.read_all()?;
        self.knocker.begin_anew()?;
        self.pause(1500);
        let snapshot = self.kill_and_compare()?;
        let mut written = self.knocker.written();
        written.retain(|client, _| !self.not_opened.contains(client));
        self.judged(&snapshot, &leases::lost(&snapshot, &written))?;
        self.not_opened.clear();
        self.start()?;
        self.await_agreement(&snapshot)?;

        self.knocker.end_long_ones()?;
        self.read_all()?;
        self.await_short_ones()?;
        let mut snapshot = self.kill_and_compare()?;
        if self.ground.has_sets() && self.random.below(2) == 0 {
            self.await_end_by_kernel(&snapshot)?;
            snapshot = self.compare()?;
        }
        self.await_closings(&snapshot)?;
        others::compare(&self.foreign, &self.ground.foreign()?)?;
        self.knocker.go_on();
        Ok(())
    }

    fn kill_and_compare(&mut self) -> Result<Snapshot> {
        self.kill()?;
        if !await_until(PATIENCE, || self.ground.tools().is_empty()) {
            return Err(LabError("a program of the dead daemon does not end".into()));
        }
        self.compare()
    }

    /// The daemon puts right what its death has left half done.
    fn await_agreement(&self, snapshot: &Snapshot) -> Result<()> {
        let mut trouble = None;
        let agrees = await_until(PATIENCE, || {
            trouble = match self.ground.held() {
                Ok(held) => leases::disagreement(snapshot, &held, now()),
                Err(error) => Some(error.to_string()),
            };
            trouble.is_none()
        });
        if agrees {
            return Ok(());
        }
        let said = self.daemon()?.lines().join("\n");
        let trouble = trouble.unwrap_or_default();
        Err(LabError(format!("restarted, and {trouble}\n{snapshot}\nthe daemon said:\n{said}")))
    }

    /// The kernel is told when a lease is made shorter.
    fn await_short_ones(&self) -> Result<()> {
        let told = await_until(PATIENCE, || {
            let soon = now().checked_add(leases::SLOW);
            self.ground.held().is_ok_and(|held| held.iter().all(|it| it.until <= soon))
        });
        if told {
            return Ok(());
        }
        let (held, said) = (self.ground.held()?, self.daemon()?.lines().join("\n"));
        Err(LabError(format!("not made shorter: {held:?}; the daemon said:\n{said}")))
    }

    /// With the daemon dead.
    fn await_end_by_kernel(&mut self, snapshot: &Snapshot) -> Result<()> {
        let ended = await_until(leases::SLOW + PATIENCE, || {
            self.ground.held().is_ok_and(|held| held.is_empty())
        });
        if !ended {
            let held = self.ground.held()?;
            return Err(LabError(format!("the kernel does not end {held:?}\n{snapshot}")));
        }
        self.report.ended_by_kernel += u32::try_from(snapshot.held.len()).unwrap_or_default();
        Ok(())
    }

    /// The daemon lives: everything closes, and nothing too early.
    fn await_closings(&mut self, snapshot: &Snapshot) -> Result<()> {
        let mut rules: BTreeMap<IpAddr, SystemTime> = snapshot.closing_times();
        let started = now();
        self.start()?;
        self.await_agreement(snapshot)?;
        let held = self.ground.held()?;
        let leases =
            snapshot.leases().filter(|lease| held.iter().any(|it| it.client == lease.client));
        let mut leases: BTreeMap<IpAddr, SystemTime> =
            leases.filter_map(|lease| Some((lease.client, lease.until?))).collect();
        let (mut early, mut latest) = (Vec::new(), Duration::ZERO);
        let mut failure = None;
        let (all_rules, all_leases) = (rules.len(), leases.len());
        let ground = &self.ground;
        let closed = await_until(PATIENCE * 2, || {
            let (open, held) = match (ground.rules(), ground.held()) {
                (Ok(open), Ok(held)) => (open, held),
                (Err(error), _) | (_, Err(error)) => {
                    failure = Some(error);
                    return true;
                }
            };
            let seen = now();
            let mut late = |due: SystemTime| {
                let late = seen.duration_since(due.max(started)).unwrap_or_default();
                latest = latest.max(late);
            };
            rules.retain(|client, due| {
                let is_open = open.contains_key(client);
                if !is_open {
                    early.extend((seen < *due).then_some(*client));
                    late(*due);
                }
                is_open
            });
            leases.retain(|client, until| {
                let is_open = held.iter().any(|it| it.client == *client);
                if !is_open {
                    early.extend((seen < leases::earlier(*until)).then_some(*client));
                    late(*until);
                }
                is_open
            });
            open.is_empty() && held.is_empty()
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        if !closed {
            return Err(LabError(format!(
                "still open: {:?} {:?}; the daemon said:\n{}",
                self.ground.rules()?,
                self.ground.held()?,
                self.daemon()?.lines().join("\n")
            )));
        }
        if !early.is_empty() {
            return Err(LabError(format!("closed too early: {early:?}\n{snapshot}")));
        }
        self.report.closings += u32::try_from(all_rules).unwrap_or_default();
        self.report.ended += u32::try_from(all_leases).unwrap_or_default();
        self.report.latest = self.report.latest.max(latest);
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<()> {
        self.knocker.pause();
        self.knocker.end_long_ones()?;
        self.read_all()?;
        let empty = await_until(PATIENCE * 2, || {
            self.ground.rules().is_ok_and(|it| it.is_empty())
                && self.ground.held().is_ok_and(|it| it.is_empty())
        });
        if !empty {
            let (rules, held) = (self.ground.rules()?, self.ground.held()?);
            return Err(LabError(format!("still open at the end: {rules:?} {held:?}")));
        }
        // What was done and not struck out before a kill is done again, and may have a second to go.
        let mut last = None;
        for _ in 0..60 {
            self.daemon()?.signal(Signal::TERM)?;
            self.bury()?;
            let snapshot = self.compare()?;
            let waiting = has_work(&snapshot);
            last = Some(snapshot);
            if !waiting {
                break;
            }
            self.start()?;
            self.daemon()?.await_line("following")?;
            self.pause(2000);
        }
        let Some(last) = last.filter(|snapshot| !has_work(snapshot)) else {
            return Err(LabError("the agenda and the leases do not become empty".into()));
        };
        others::compare(&self.foreign, &self.ground.foreign()?)?;
        let written = self.knocker.written();
        self.report.knocks = written.values().map(|knocks| knocks.all).sum();
        let ran = fs::read_to_string(self.ground.path("ran")).unwrap_or_default();
        for (client, knocks) in written {
            let counted = last.knocks(client);
            if counted != knocks.all {
                return Err(LabError(format!(
                    "{client} knocked {} times, and the daemon counted {counted}",
                    knocks.all
                )));
            }
            let client = client.to_string();
            let ran = ran.lines().filter(|line| **line == client).count() as u64;
            if ran < knocks.shut {
                return Err(LabError(format!(
                    "{client} sent {} closing knocks, and the program ran {ran} times",
                    knocks.shut
                )));
            }
        }
        Ok(())
    }
}

fn has_work(snapshot: &Snapshot) -> bool {
    !snapshot.orders.is_empty() || snapshot.leases().next().is_some()
}
