//! Programs that never end: what was to be taken back is taken back all the same.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use knock_e2e::process::{PATIENCE, await_until};
use knock_e2e::written::WrittenLog;

#[test]
fn a_closing_ends_the_opening_that_hangs_and_comes_on_time() {
    let mut host = WrittenLog::new(
        "<actions>
           <action>\ntemplate = open\n</action>
           <action>\ntemplate = close\ndelay = 2s\n</action>
           <template open>\nsystem = touch FOLDER/open; exec sleep 1000\n</template>
           <template close>\nsystem = rm -f FOLDER/open && echo closed\n</template>
         </actions>",
    )
    .unwrap();
    let daemon = host.daemon(&[], &[]).unwrap();
    host.knock(1).unwrap();
    daemon.await_line("done: rm").unwrap();
    assert!(!host.path("open").exists());
    let lines = daemon.lines();
    let place = |text: &str| lines.iter().position(|line| line.contains(text)).unwrap();
    assert!(place("exec sleep 1000") < place("done: rm"), "{lines:#?}");
}

#[test]
fn a_closing_goes_beside_the_program_of_another_knock_that_hangs() {
    let mut host = WrittenLog::new(
        "<actions>
           <action>\ncondition = TIME == 1\ntemplate = open\n</action>
           <action>\ncondition = TIME == 1\ntemplate = close\ndelay = 5s\n</action>
           <action>\ncondition = TIME == 2\ntemplate = hang\n</action>
           <template open>\nsystem = touch FOLDER/open\n</template>
           <template close>\nsystem = rm FOLDER/open && echo closed\n</template>
           <template hang>\nsystem = touch FOLDER/hanging; exec sleep 1000\n</template>
         </actions>",
    )
    .unwrap();
    let daemon = host.daemon(&[], &[]).unwrap();
    // At one blow, that the one hangs before the other's closing is due.
    let both = [1, 2].map(|time| host.lines(time, "Nov 21 03:22:42").unwrap()).concat();
    host.write(&both).unwrap();
    let hangs = await_until(PATIENCE, || host.path("hanging").exists());
    assert!(hangs, "{:#?}", daemon.lines());
    daemon.await_line("done: rm").unwrap();
    assert!(!host.path("open").exists());
    assert!(!daemon.lines().iter().any(|line| line.contains("no end within")));
}
