//! Leases on real packets: who they let in, what ends them, and that a session keeps its own. How the
//! kernel holds them is shown in `netns_firewall.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use common::{Log, Setup};
use knock_e2e::firewall::Backend;
use knock_e2e::lab::{Host, Lab};
use knock_e2e::process::{PATIENCE, await_until};

const KNOCK: &str = "knock = IP,PORT,TIME,CHECKSUM";

/// TIME counts minutes: 0 until it is closed, 255 closes.
fn actions(more: &str) -> String {
    format!(
        "
<actions>
  <action>
    condition = TIME != 255
    template  = let-in
  </action>
  <action>
    condition = TIME == 255
    template  = out
  </action>
  <template let-in>
    open  = PORT
    {more}
  </template>
  <template out>
    close = PORT
  </template>
</actions>
"
    )
}

fn setup(more: &str, settings: &str) -> Setup {
    Setup::with(Log::Kmsg, Backend::Nft, &format!("{KNOCK}\n{settings}"), &actions(more))
}

/// Listens in the server's network; works from any thread.
fn listen(lab: &Lab, port: u16) -> TcpListener {
    lab.within(Host::Server, || TcpListener::bind(("::", port))).unwrap().unwrap()
}

/// One try to connect from the client host's first address.
fn connect(lab: &Lab, port: u16) -> Option<TcpStream> {
    let to = SocketAddr::new(lab.server(), port);
    lab.within(Host::Client, || TcpStream::connect_timeout(&to, Duration::from_millis(300)))
        .unwrap()
        .ok()
}

fn await_connection(lab: &Lab, port: u16) -> Option<TcpStream> {
    let mut stream = None;
    await_until(PATIENCE, || {
        stream = connect(lab, port);
        stream.is_some()
    });
    stream
}

/// Both ends of a session with whoever knocks for it. A lease that was over before a busy machine had
/// connected is knocked for again.
fn let_in(setup: &Setup, port: u16, listener: &TcpListener) -> (TcpStream, TcpStream) {
    for _ in 0..5 {
        setup.knock(&["-port", &port.to_string(), "-time", "0"]);
        if let Some(session) = await_connection(&setup.lab, port) {
            return (session, listener.accept().unwrap().0);
        }
    }
    panic!("nobody gets in:\n{}", setup.daemon.lines().join("\n"));
}

/// What comes when a lease's time is over needs that time, and patience.
fn await_said(setup: &Setup, what: &str, times: usize) {
    let said = || setup.daemon.lines().iter().filter(|line| line.contains(what)).count() >= times;
    let lines = || setup.daemon.lines().join("\n");
    assert!(await_until(3 * PATIENCE, said), "not '{what}' ({times} times):\n{}", lines());
}

/// A lease of twenty seconds, a session of several times that, and the port is closed after it.
fn a_session_holds(setup: &Setup, port: u16, served_at: u16) -> TcpListener {
    let listener = listen(&setup.lab, served_at);
    let (session, served) = let_in(setup, port, &listener);
    // Each time its end comes near, and the port is open after it; also when the client has said its last
    // word, and only listens.
    await_said(setup, "connections=1", 1);
    session.shutdown(Shutdown::Write).unwrap();
    await_said(setup, "connections=1", 2);
    let another = await_connection(&setup.lab, port).expect("a second connection");
    drop((another, listener.accept().unwrap()));

    drop(session);
    drop(served);
    await_said(setup, &format!("close tcp port {port}"), 1);
    listener
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_lease_lives_as_long_as_its_session() {
    let setup = setup("lease = 20s\n    hold = connected", "");
    let _listens = a_session_holds(&setup, 222, 222);
    assert!(await_until(PATIENCE, || connect(&setup.lab, 222).is_none()), "still open");
}

/// The socket has another port, so that only the kernel's connection tracking can tell.
#[test]
#[ignore = "needs root: sudo make test"]
fn a_session_that_is_passed_on_holds_a_lease_too() {
    let setup = setup("lease = 20s\n    hold = connected", "");
    for rule in [
        "-t nat -A PREROUTING -p tcp --dport 222 -j REDIRECT --to-ports 8222",
        "-I INPUT -p tcp --dport 8222 -j ACCEPT",
    ] {
        setup.lab.on(Host::Server, &format!("iptables-nft {rule}")).unwrap();
    }
    a_session_holds(&setup, 222, 8222);
}

/// Without a rule for what is established, which would keep any session.
#[test]
#[ignore = "needs root: sudo make test"]
fn a_session_outlives_a_daemon_that_was_dead_at_the_end_of_its_lease() {
    let mut setup = setup("lease = 20s\n    hold = connected", "firewall = nftables");
    let rule = "iptables-nft -D INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT";
    setup.lab.on(Host::Server, rule).unwrap();
    let listener = listen(&setup.lab, 222);
    let (mut session, mut served) = let_in(&setup, 222, &listener);
    served.set_read_timeout(Some(2 * PATIENCE)).unwrap();
    session.set_read_timeout(Some(2 * PATIENCE)).unwrap();
    await_said(&setup, "connections=1", 1);

    setup.kill();
    await_kernel_closed(&setup);
    setup.restart();
    setup.daemon.await_line(": open tcp port 222").unwrap();
    session.write_all(b"still there?").unwrap();
    let mut heard = [0; 12];
    served.read_exact(&mut heard).expect("the session is cut off");
    // And on, as any session that holds a lease.
    await_said(&setup, "connections=1", 2);
    served.write_all(b"yes").unwrap();
    session.read_exact(&mut heard[..3]).unwrap();

    // One that ended meanwhile holds nothing.
    setup.kill();
    drop(session);
    drop(served);
    await_kernel_closed(&setup);
    setup.restart();
    setup.daemon.await_line("close tcp port 222").unwrap();
    assert!(connect(&setup.lab, 222).is_none());
}

/// The kernel's clock has closed what was open to the client.
fn await_kernel_closed(setup: &Setup) {
    let client = setup.lab.client().to_string();
    let is_open = || {
        let table = setup.lab.on(Host::Server, "nft list table inet knockdaemon").unwrap();
        table.contains(&client)
    };
    assert!(await_until(3 * PATIENCE, || !is_open()), "the kernel does not close");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_network_gets_in_until_the_last_of_its_leases_ends() {
    let setup = setup("lease = TIME\n    prefix4 = 24", "");
    let (client, other) = (setup.lab.client(), setup.lab.second_client());
    assert!(!setup.is_open(other));
    setup.knock_from(client, &["-port", "22", "-time", "9"]);
    setup.await_open(client);
    setup.await_open(other);
    // The other has a lease of its own, and ends that only.
    setup.knock_from(other, &["-port", "22", "-time", "5"]);
    setup.daemon.await_lines(": open tcp port 22 to 10.99.", 2).unwrap();
    setup.knock_from(other, &["-port", "22", "-time", "255"]);
    setup.daemon.await_lines(": open tcp port 22 to 10.99.", 3).unwrap();
    setup.await_open(client);
    setup.await_open(other);
    setup.knock_from(client, &["-port", "22", "-time", "255"]);
    setup.await_closed(client);
    setup.await_closed(other);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn who_moves_leaves_nothing_open() {
    let setup = setup("lease = TIME", "onelease = yes");
    let (home, train): (IpAddr, IpAddr) = (setup.lab.client(), setup.lab.second_client());
    setup.knock_from(home, &["-port", "22", "-time", "5"]);
    setup.await_open(home);
    setup.knock_from(train, &["-port", "22", "-time", "5"]);
    setup.await_open(train);
    setup.await_closed(home);
}

/// Whether the last that the daemon did for somebody was to open.
fn was_opened_last(setup: &Setup, whose: IpAddr) -> bool {
    let lines = setup.daemon.lines();
    let of_whom = format!(" tcp port 22 to {whose}");
    let done = lines.iter().rev().find(|line| line.contains(&of_whom));
    done.is_some_and(|line| line.contains(": open"))
}

/// What has time left is open after a crash as before it, what has not is closed.
#[test]
#[ignore = "needs root: sudo make test"]
fn leases_outlive_the_daemon_and_end_with_it_or_without() {
    let mut setup = setup("lease = TIME < 9 ? TIME * 0.1 : TIME", "firewall = nftables");
    let (client, other) = (setup.lab.client(), setup.lab.second_client());
    setup.knock_from(client, &["-port", "22", "-time", "60"]);
    setup.await_open(client);
    setup.kill();
    // A lease does not end with the daemon.
    setup.await_open(client);
    // Somebody empties the firewall while nobody looks; the first look puts it back.
    setup.lab.on(Host::Server, "nft delete table inet knockdaemon").unwrap();
    setup.await_closed(client);
    setup.restart();
    setup.daemon.await_line("leases taken up").unwrap();
    setup.await_open(client);
    // Eighteen seconds, which are over while the daemon is dead; or so many that it is dead by then on a
    // slow machine too.
    for time in ["3", "5", "8"] {
        setup.knock_from(other, &["-port", "22", "-time", time]);
        let opened =
            await_until(PATIENCE, || setup.is_open(other) && was_opened_last(&setup, other));
        setup.kill();
        setup.daemon.await_last_words().unwrap();
        if opened && was_opened_last(&setup, other) {
            break;
        }
        assert_ne!(time, "8", "it always closes before it can be killed");
        setup.restart();
    }
    setup.await_closed(other);
    setup.restart();
    setup.daemon.await_line(&format!("close tcp port 22 to {other}")).unwrap();
    setup.await_open(client);
    assert!(!setup.is_open(other));
}
