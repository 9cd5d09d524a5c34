"""What ssh and rsync complain of, in their words, and what the row of a laptop says."""

import pytest

from instructor.deliver.inventory import Laptop
from instructor.deliver.ssh import explain

LAPTOP = Laptop("laptop-1", "10.0.0.7", "student", "linux", "kit", 22, "group-1", None, 3)
CUT, SILENT = "the connection was cut", "it does not answer"
COMPLAINTS = {
    "": CUT,
    "\n": CUT,
    "client_loop: send disconnect: Broken pipe": CUT,
    "Connection to 10.0.0.7 closed by remote host.": CUT,
    "rsync: connection unexpectedly closed (7 bytes received so far) [sender]\nrsync error: x (code 12) at io.c": CUT,
    "rsync error: unexplained error (code 255) at main.c(1394) [sender=3.5.0]": CUT,
    "rsync error: error in socket IO (code 10) at io.c(120) [sender=3.2.7]": CUT,
    "rsync error: received SIGINT, SIGTERM, or SIGHUP (code 20) at rsync.c(701) [sender=3.2.7]": CUT,
    "rsync error: timeout in data send/receive (code 30) at io.c(204) [sender=3.2.7]": SILENT,
    "[sender] io timeout after 60 seconds -- exiting": SILENT,
    "ssh: connect to host 10.0.0.7 port 22: Connection timed out": SILENT,
    "Timeout, server 10.0.0.7 not responding.": SILENT,
    "ssh: connect to host 10.0.0.7 port 22: Connection refused": "nobody listens at 10.0.0.7, port 22",
    "ssh: connect to host 10.0.0.7 port 22: No route to host": "no way leads to 10.0.0.7",
    "rsync: write failed: No space left on device (28)\nrsync error: error in file IO (code 11)": "its disk is full",
    "No space left on device\nrsync error: error in rsync protocol data stream (code 12) at io.c": "its disk is full",
    "student@10.0.0.7: Permission denied (publickey).": "it does not let 'student' in",
    "sh: 1: something: odd": "it said: sh: 1: something: odd",
}


@pytest.mark.parametrize("complaint", COMPLAINTS, ids=range(len(COMPLAINTS)))
def test_what_was_complained_of_is_said_plainly_and_what_to_do(complaint: str) -> None:
    error = explain(LAPTOP, complaint)
    assert error.message == COMPLAINTS[complaint]
    assert error.hint
