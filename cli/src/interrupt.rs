//! Ctrl-C: whoever asks is told, and ends its work in order.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether the user has pressed Ctrl-C, or asked this process to end in another polite way.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    presses: watch::Receiver<u32>,
    /// While somebody cleans up, no further press ends the process.
    patient: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on, for as long as the process lives. A second Ctrl-C ends it at once, unless it is
    /// [`Interrupt::patient`].
    pub(crate) fn listen() -> io::Result<Self> {
        let (told, presses) = watch::channel(0);
        let patient = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // From here on no signal ends the process by itself: what is made from now on is cleaned up.
        let (mut interrupt, mut terminate) = {
            let _runtime = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let waits = Arc::clone(&patient);
        std::thread::Builder::new().name("cirrus-signal".to_owned()).spawn(move || {
            runtime.block_on(async {
                for press in 1.. {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    if press > 1 && !waits.load(Ordering::Relaxed) {
                        std::process::exit(130);
                    }
                    told.send_replace(press);
                }
            });
        })?;
        Ok(Self { presses, patient })
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.presses.borrow() > 0
    }

    /// Whether somebody cleans up after an interrupt, in a time that is bounded: then more of them change nothing.
    pub(crate) fn patient(&self, patient: bool) {
        self.patient.store(patient, Ordering::Relaxed);
    }

    /// Completes when the user has pressed Ctrl-C.
    pub(crate) async fn pressed(&self) {
        let mut presses = self.presses.clone();
        // The other end lives as long as the process.
        let _ = presses.wait_for(|presses| *presses > 0).await;
    }

    /// A reader that ends with an error once the user has pressed Ctrl-C: whoever reads cleans up as after any
    /// other error.
    pub(crate) fn wrap<R: Read>(&self, reader: R) -> impl Read + use<R> {
        Interruptible { reader, interrupt: self.clone() }
    }
}

struct Interruptible<R> {
    reader: R,
    interrupt: Interrupt,
}

impl<R: Read> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.interrupt.is_set() {
            return Err(io::Error::other("interrupted"));
        }
        self.reader.read(buffer)
    }
}
