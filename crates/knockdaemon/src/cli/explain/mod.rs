//! `explain`: for one client, hit by hit, what happened and how near it came; from logs, capture files,
//! or live beside the daemon. Responds to nothing and keeps nothing.
//!
//! `story.rs` is the way of a hit, `near.rs` finds near misses, `words.rs` says them, `tally.rs` counts,
//! `conclusions.rs` says what that means, `teller.rs` prints.

mod around;
mod conclusions;
mod follow;
mod named;
mod near;
mod packets;
mod story;
mod tally;
mod teller;
mod words;

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use knock_config::DaemonSettings;
use knock_sources::{Intake, Notice, RawPacket, Stop};

use crate::exit::Exit;
use crate::run::{Clock, Tests, lines_of};

use super::args::{Common, ExplainArgs};
use super::input;
use super::load;
use super::machine::Purpose;
use super::reading::{Progress, ReplayTime};
use packets::Sent;
use story::Story;
use teller::{Place, Teller};

/// Tells the story of one client; the status says whether it has knocked.
pub(crate) fn explain(common: &Common, args: &ExplainArgs) -> Exit {
    let (_, settings) = match load::settings(common, Purpose::Look) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let told = if args.follow { follow::told(settings, args) } else { read(settings, args) };
    let (knocked, mut teller) = match told {
        Ok(story) => story.end(),
        Err(exit) => return exit,
    };
    match (teller.out.finish(), knocked) {
        (Exit::Ok, false) => Exit::Problems,
        (exit, _) => exit,
    }
}

/// The whole story of logs that are there.
fn read(settings: DaemonSettings, args: &ExplainArgs) -> Result<Story, Exit> {
    let today = Clock::new().now().wall;
    let progress = Progress::new(&settings, args.logs.len());
    let tests = Tests::of(&settings);
    let story = Story::new(settings, args.client, Teller::new(args.json));
    let mut reader = Reader { story, progress, time: ReplayTime::new(today), tests };
    for log in &args.logs {
        reader.read(log).map_err(|error| input::unreadable(log, &error))?;
    }
    Ok(reader.story)
}

/// Reads logs with the times that are in them.
struct Reader {
    story: Story,
    progress: Progress,
    time: ReplayTime,
    tests: Tests,
}

impl Reader {
    fn read(&mut self, log: &Path) -> io::Result<()> {
        let mut source = self.progress.open(log)?;
        self.story.next_log();
        source.run(self, &Stop::new()?).map_err(io::Error::other)
    }
}

fn place(progress: &Progress) -> Place {
    Place { text: progress.text(), json: progress.json() }
}

impl Intake for Reader {
    fn lines(&mut self, block: &[u8]) -> ControlFlow<()> {
        for line in lines_of(block) {
            self.progress.at += 1;
            let (progress, time) = (&self.progress, &mut self.time);
            self.story.line(&|| place(progress), line, &mut |hit| time.at(hit.time));
        }
        self.story.go_on()
    }

    fn packet(&mut self, packet: &RawPacket<'_>) -> ControlFlow<()> {
        self.progress.at += 1;
        let (progress, time) = (&self.progress, &mut self.time);
        let sent = Sent::of(packet, &self.tests);
        self.story.packet(&|| place(progress), &sent, &mut |hit| time.at(hit.time));
        self.story.go_on()
    }

    fn notice(&mut self, notice: Notice) {
        let _bytes = self.progress.notice(&notice);
    }
}
