//! Connections that are not what they should be, at the controller's port and at that of a member.
//!
//! Each is closed, and the process that it was made to says by name what was wrong with it. Its memory stays as it was, and
//! those who have joined go on with their rounds meanwhile.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use cirrus_core::ids::JobId;
use cirrus_protocol::frame::{Body, Frame};
use cirrus_protocol::handshake::Credential;
use cirrus_runtime::zip::ONLY_JOB;
use cirrus_transport::tcp::Tcp;
use cirrus_transport::{Transport as _, TransportError, auth};

use crate::member::Kind;
use crate::processes::{Controller, Handle, PATIENCE};
use crate::rounds::{SUMS, Sums};

/// More than are heard at once, and fewer than a process may have open by default.
const CROWD: usize = 400;
/// By how much a process may grow meanwhile: by far less than what is announced to it, and less than a buffer for each.
const GROWS_MAX: usize = 12 << 20;

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket can be told");
    stream
}

/// It is closed by the other end, without a word.
#[track_caller]
fn is_closed(mut stream: TcpStream) {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => assert!(answer.is_empty(), "it is answered: {answer:?}"),
        // What it had not read yet is thrown back.
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
}

/// A frame as it should be; with a body that is longer than anything one may say before a proof; of a version of before.
fn frames() -> [Vec<u8>; 3] {
    let frame = |body: Vec<u8>| {
        let mut frame = Vec::new();
        Frame { body: Body::from(bytes::Bytes::from(body)), ..Frame::default() }
            .encode(u32::MAX, &mut frame)
            .expect("it can be encoded");
        frame
    };
    let (whole, mut huge) = (frame(Vec::new()), frame(vec![0; 64 << 20]));
    huge.truncate(whole.len());
    let mut older = whole.clone();
    older[4] = 0;
    [whole, huge, older]
}

/// Shows what does not fit.
fn prove(address: &str, job: JobId, token: &str) -> TransportError {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("there is one");
    runtime.block_on(async {
        let mut end = Tcp::default().connect(address).await.expect("it listens");
        let credential = Credential { job, token: auth::digest(token) };
        auth::prove(&mut end, credential).await.expect_err("it lets strangers in")
    })
}

/// All of them, one after the other.
#[track_caller]
fn annoy(address: &str, attacked: &Handle, sums: &mut Sums) {
    // It is given up in the end, while all that follows goes on.
    let (mut half, [whole, huge, older]) = (connect(address), frames());
    half.write_all(&whole[..20]).expect("it listens");
    let noise: Vec<u8> = (0..4000_u32).map(|at| (at * at % 251) as u8).collect();
    let wrong: [(&[u8], &str); 4] = [
        (&noise, "not a frame: the first bytes are"),
        (&huge, "67108864, at most 40 is allowed"),
        (&older, "frame has format version 0"),
        (&whole, "sent what is not a frame of this protocol: corrupt data"),
    ];
    for (bytes, words) in wrong {
        let mut stream = connect(address);
        // It may be closed before all is written.
        let _ = stream.write_all(bytes);
        is_closed(stream);
        attacked.until_says(words);
        sums.go_on();
    }
    for (job, token) in [(ONLY_JOB, "the token of another job"), (JobId(7), crate::processes::TOKEN)] {
        let error = prove(address, job, token);
        assert!(matches!(error, TransportError::Denied { .. }), "{error}");
        attacked.until_says("was not admitted");
    }
    is_closed(half);
    attacked.until_says("was silent for");
    sums.go_on();
}

/// Many who say nothing. Those who have something to say are heard all the same.
#[track_caller]
fn crowd(address: &str, attacked: &Handle, sums: &mut Sums, controller: &Controller) {
    let silent: Vec<TcpStream> = (0..CROWD).map(|_| connect(address)).collect();
    sums.go_on();
    let mut newcomer = controller.member();
    newcomer.join(SUMS, Kind::Sum);
    sums.add(vec![newcomer]);
    sums.go_on();
    attacked.until_says("has not proven anything, and others wait");
    // The first to come are the first to go.
    silent.into_iter().take(10).for_each(is_closed);
}

#[test]
fn a_controller_is_not_disturbed_by_strangers() {
    let controller = Controller::start();
    let mut sums = Sums::of(&controller, 3);
    let before = controller.process().memory("VmRSS");
    annoy(&controller.address, controller.process(), &mut sums);
    crowd(&controller.address, controller.process(), &mut sums, &controller);
    let grown = controller.process().memory("VmRSS").saturating_sub(before);
    assert!(grown < GROWS_MAX, "it has grown by {grown} bytes");
    sums.agree();
}

/// The one below which newcomers are.
#[test]
fn a_member_is_not_disturbed_by_strangers() {
    let controller = Controller::start();
    let mut sums = Sums::of(&controller, 3);
    let attacked = sums.adders[1].member.handle();
    let [port] = attacked.ports()[..] else { panic!("it listens at {:?}", attacked.ports()) };
    let address = format!("127.0.0.1:{port}");
    let before = attacked.memory("VmRSS");
    annoy(&address, &attacked, &mut sums);
    crowd(&address, &attacked, &mut sums, &controller);
    let grown = attacked.memory("VmRSS").saturating_sub(before);
    assert!(grown < GROWS_MAX, "it has grown by {grown} bytes");
    sums.agree();
}
