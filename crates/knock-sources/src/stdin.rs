//! Lines from standard input, to its end. Also from any other descriptor, for pipes of tests.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
};

use crate::{
    Intake, Notice, Source, SourceError, Stop,
    pump::{LastLine, pump},
    wait::{Woken, wait},
};

/// Reads standard input to its end, which may never come: a pipe that stays open is followed.
#[derive(Debug)]
pub struct StdinSource {
    name: String,
    input: Option<File>,
    head: Vec<u8>,
}

impl Default for StdinSource {
    fn default() -> Self {
        Self::new()
    }
}

impl StdinSource {
    /// The process's standard input.
    #[must_use]
    pub fn new() -> Self {
        Self { name: "stdin".to_owned(), input: None, head: Vec::new() }
    }

    /// Another descriptor in the place of standard input, under a name of its own.
    #[must_use]
    pub fn reading(name: impl Into<String>, input: OwnedFd) -> Self {
        Self { name: name.into(), input: Some(File::from(input)), head: Vec::new() }
    }

    /// With these bytes in front, which somebody has read already.
    #[must_use]
    pub fn after(mut self, head: Vec<u8>) -> Self {
        self.head = head;
        self
    }
}

impl Source for StdinSource {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn run(&mut self, intake: &mut dyn Intake, stop: &Stop) -> Result<(), SourceError> {
        let failed = |error| SourceError::Read { from: self.name.clone(), error };
        // Not `std::io::stdin()`: what sits in its buffer is invisible to poll.
        let input = match self.input.take() {
            Some(input) => input,
            None => File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?),
        };
        intake.notice(Notice::Started { name: self.name() });
        let head = std::mem::take(&mut self.head);
        let mut has_head = !head.is_empty();
        let mut ready = || match std::mem::take(&mut has_head) {
            // What is here already is not waited for.
            true => Ok(Woken::Ready),
            false => wait(input.as_fd(), stop, None),
        };
        let input = &mut head.chain(&input);
        pump(&self.name, input, &mut ready, intake, LastLine::Used).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::testing::Collected;

    #[test]
    fn a_pipe_that_stays_open_is_followed_until_the_stop() {
        let (input, mut output) = io::pipe().unwrap();
        let (got, stop) = (Collected::new(), Stop::new().unwrap());
        let (mut intake, other) = (got.clone(), stop.clone());
        let reader = std::thread::spawn(move || {
            StdinSource::reading("a pipe", input.into()).run(&mut intake, &other)
        });
        output.write_all(b"one\ntw").unwrap();
        assert_eq!(got.await_lines(1), ["one"]);
        output.write_all(b"o\n").unwrap();
        assert_eq!(got.await_lines(2), ["one", "two"]);
        stop.set();
        reader.join().unwrap().unwrap();
    }

    #[test]
    fn ends_at_the_end_and_when_the_intake_has_enough() {
        let (input, mut output) = io::pipe().unwrap();
        output.write_all(b"one\nlast").unwrap();
        drop(output);
        let mut got = Collected::new();
        StdinSource::reading("a pipe", input.into()).run(&mut got, &Stop::new().unwrap()).unwrap();
        assert_eq!(got.lines(), ["one", "last"]);

        let (input, mut output) = io::pipe().unwrap();
        output.write_all(b"one\n").unwrap();
        let mut enough = Collected::breaking_after(1);
        StdinSource::reading("a pipe", input.into())
            .run(&mut enough, &Stop::new().unwrap())
            .unwrap();
        assert_eq!(enough.lines(), ["one"]);
        assert_eq!(StdinSource::reading("a.log", io::pipe().unwrap().0.into()).name(), "a.log");
    }
}
