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

fn await_connection(lab: &Lab, port: u16) -> TcpStream {
    let mut stream = None;
    await_until(PATIENCE, || {
        stream = connect(lab, port);
        stream.is_some()
    });
    stream.expect("a connection")
}

/// A lease of twenty seconds, a session of several times that, and the port is closed after it.
fn a_session_holds(setup: &Setup, port: u16, served_at: u16) -> TcpListener {
    let listener = listen(&setup.lab, served_at);
    setup.knock(&["-port", &port.to_string(), "-time", "0"]);
    let session = await_connection(&setup.lab, port);
    let (served, _) = listener.accept().unwrap();
    // Each time its end comes near, and the port is open after it; also when the client has said its last
    // word, and only listens.
    setup.daemon.await_lines("connections=1", 1).unwrap();
    session.shutdown(Shutdown::Write).unwrap();
    setup.daemon.await_lines("connections=1", 2).unwrap();
    let another = await_connection(&setup.lab, port);
    drop((another, listener.accept().unwrap()));

    drop(session);
    drop(served);
    setup.daemon.await_line(&format!("close tcp port {port}")).unwrap();
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
    let mut setup = setup("lease = 6s\n    hold = connected", "firewall = nftables");
    let rule = "iptables-nft -D INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT";
    setup.lab.on(Host::Server, rule).unwrap();
    let listener = listen(&setup.lab, 222);
    setup.knock(&["-port", "222", "-time", "0"]);
    let mut session = await_connection(&setup.lab, 222);
    let (mut served, _) = listener.accept().unwrap();
    served.set_read_timeout(Some(2 * PATIENCE)).unwrap();
    session.set_read_timeout(Some(2 * PATIENCE)).unwrap();
    setup.daemon.await_line("connections=1").unwrap();

    setup.kill();
    await_kernel_closed(&setup);
    setup.restart();
    setup.daemon.await_line(": open tcp port 222").unwrap();
    session.write_all(b"still there?").unwrap();
    let mut heard = [0; 12];
    served.read_exact(&mut heard).expect("the session is cut off");
    // And on, as any session that holds a lease.
    setup.daemon.await_lines("connections=1", 2).unwrap();
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
    assert!(await_until(PATIENCE, || !is_open()), "the kernel does not close");
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
    assert!(setup.is_open(client) && setup.is_open(other));
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

/// What has time left is open after a crash as before it, what has not is closed.
#[test]
#[ignore = "needs root: sudo make test"]
fn leases_outlive_the_daemon_and_end_with_it_or_without() {
    let mut setup = setup("lease = TIME == 1 ? 0.3 : TIME", "firewall = nftables");
    let (client, other) = (setup.lab.client(), setup.lab.second_client());
    setup.knock_from(client, &["-port", "22", "-time", "5"]);
    setup.await_open(client);
    setup.kill();
    assert!(setup.is_open(client), "a lease does not end with the daemon");
    // Somebody empties the firewall while nobody looks; the first look puts it back.
    setup.lab.on(Host::Server, "nft delete table inet knockdaemon").unwrap();
    setup.await_closed(client);
    setup.restart();
    setup.daemon.await_line("leases taken up").unwrap();
    setup.await_open(client);
    // Eighteen seconds, which are over while the daemon is dead.
    setup.knock_from(other, &["-port", "22", "-time", "1"]);
    setup.await_open(other);
    setup.kill();
    setup.await_closed(other);
    setup.restart();
    setup.daemon.await_line(&format!("close tcp port 22 to {other}")).unwrap();
    assert!(setup.is_open(client));
    assert!(!setup.is_open(other));
}
