//! Clients that send requests and do not read the answers.

use std::time::Duration;

use kefu_harness::process::Role;
use kefu_harness::wechat::{Format, Message, Mode};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use super::{Ingress, USER, assert_success, bytes};

/// Of work for requests, and far less than an idle wait of seconds would take with a busy core.
const LITTLE: Duration = Duration::from_millis(1_500);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: kefu\r\n\r\n";

/// A connection with little room for answers.
async fn connect(ingress: &Ingress) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(ingress.program.address(Role::Public)).await.unwrap()
}

/// Writes requests, until the connection is gone.
async fn write_for_ever(connection: &mut (impl AsyncWrite + Unpin)) {
    let requests = REQUEST.repeat(1_000);
    while connection.write_all(&requests).await.is_ok() {}
}

#[tokio::test]
async fn a_client_that_never_reads_costs_little_and_loses_its_connection() {
    let (ingress, account) = Ingress::in_mode(Mode::Plain).await;
    let mut connection = connect(&ingress).await;
    let (before, started) = (ingress.program.cpu_time(), Instant::now());
    let gone = timeout(Duration::from_secs(15), write_for_ever(&mut connection)).await;
    let busy = ingress.program.cpu_time() - before;
    assert!(busy < LITTLE, "{busy:?} of work in {:?}", started.elapsed());
    gone.expect("the connection is closed");
    assert_success(&ingress.pushes.push(&account, Format::Xml, &Message::text(USER, "hi")).await, "after it");
}

#[tokio::test]
async fn a_client_that_reads_a_little_now_and_then_loses_its_connection_too() {
    let (ingress, _) = Ingress::in_mode(Mode::Plain).await;
    let (mut reading, mut writing) = connect(&ingress).await.into_split();
    let before = ingress.program.cpu_time();
    let read = async {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            // Whatever it says: what has come is still there when the connection is gone.
            let _byte = timeout(Duration::from_millis(1), reading.read_u8()).await;
        }
    };
    let gone = timeout(Duration::from_secs(15), async {
        tokio::select! {
            () = write_for_ever(&mut writing) => (),
            () = read => (),
        }
    });
    let gone = gone.await;
    let busy = ingress.program.cpu_time() - before;
    assert!(busy < LITTLE, "{busy:?} of work");
    gone.expect("the connection is closed");
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_their_order() {
    let (ingress, account) = Ingress::in_mode(Mode::Plain).await;
    let mut connection = connect(&ingress).await;
    let verify = |number: usize, header: &str| {
        let query = account.verification(&format!("echo-{number}-")).query;
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("GET /push/{}?{} HTTP/1.1\r\nhost: kefu\r\n{header}\r\n", account.appid, query.join("&"))
    };
    let requests: String = (0..50).map(|number| verify(number, "")).collect();
    connection.write_all((requests + &verify(50, "connection: close\r\n")).as_bytes()).await.unwrap();
    let mut answers = String::new();
    timeout(Duration::from_secs(10), connection.read_to_string(&mut answers)).await.expect("it ends").unwrap();
    let echoed: Vec<usize> =
        answers.split("echo-").skip(1).map(|rest| rest.split('-').next().unwrap().parse().unwrap()).collect();
    assert_eq!(echoed, (0..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn requests_sent_behind_a_push_that_is_being_stored_cost_little() {
    let (ingress, account) = Ingress::in_mode(Mode::Plain).await;
    let message = Message::text(USER, "hi");
    // The answer to the second copy waits until the answer to the first is recorded.
    for copy in ["the first copy", "the second copy"] {
        assert_success(&ingress.pushes.push(&account, Format::Json, &message).await, copy);
    }
    // As if another ingress were still storing it: the third copy waits as long as it may.
    ingress.takes_claim(&ingress.claims().await[0], Duration::from_secs(60)).await;

    let (head, body) = bytes(&account, &account.push(Format::Json, &message));
    let (mut reading, mut writing) = connect(&ingress).await.into_split();
    let before = ingress.program.cpu_time();
    writing.write_all(&[head, body].concat()).await.unwrap();
    let flood = tokio::spawn(async move { write_for_ever(&mut writing).await });
    let mut answer = [0; 12];
    timeout(Duration::from_secs(10), reading.read_exact(&mut answer)).await.expect("it is answered").unwrap();
    let busy = ingress.program.cpu_time() - before;
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 503");
    assert!(busy < LITTLE, "{busy:?} of work");
    flood.abort();
}
