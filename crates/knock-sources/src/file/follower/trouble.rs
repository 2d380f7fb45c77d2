//! What is in the way at the path or in reading, said once each. Decides nothing.

use std::io::{self, ErrorKind};

use super::{Fault, Follower, GONE};
use crate::{Intake, Notice, WaitReason, file::past::Moment};

impl Follower {
    pub(super) fn present(&mut self) {
        (self.said, self.gone_since, self.path_trouble) = (None, None, None);
    }

    pub(super) fn absent(&mut self, error: io::Error, now: Moment, intake: &mut dyn Intake) {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory if self.held.is_empty() => {
                self.wait(WaitReason::Missing, now, intake);
            }
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                self.path_trouble = None;
                let since = *self.gone_since.get_or_insert(now.uptime);
                if now.uptime.saturating_sub(since) >= GONE {
                    self.wait(WaitReason::Gone, now, intake);
                }
            }
            ErrorKind::PermissionDenied => self.wait(WaitReason::Forbidden, now, intake),
            _ => self.trouble_at_path(error, intake),
        }
    }

    pub(super) fn wait(&mut self, why: WaitReason, now: Moment, intake: &mut dyn Intake) {
        self.path_trouble = None;
        self.gone_since.get_or_insert(now.uptime);
        if self.said != Some(why) {
            self.said = Some(why);
            intake.notice(Notice::Waiting { path: self.path.clone(), why });
        }
    }

    pub(super) fn trouble_at_path(&mut self, error: io::Error, intake: &mut dyn Intake) {
        if self.path_trouble.replace(fault(&error)) != Some(fault(&error)) {
            intake.notice(Notice::Trouble { path: self.path.clone(), error });
        }
    }

    pub(super) fn trouble_in_reading(&mut self, error: io::Error, intake: &mut dyn Intake) {
        if self.read_trouble.replace(fault(&error)) != Some(fault(&error)) {
            intake.notice(Notice::Trouble { path: self.path.clone(), error });
        }
    }
}

fn fault(error: &io::Error) -> Fault {
    (error.kind(), error.raw_os_error())
}
