"""The settings that were chosen by measurement, each with its reason.

``benchmarks/run.py`` measures what they do. The figures are of two cores, over loopback where
nothing else is said. What TCP needs is in ``ssh.tuning.transport.prepare_socket``.
"""

from __future__ import annotations

__all__ = [
    "BATCH_BYTES",
    "BATCH_FILES",
    "CAT_FROM",
    "CHUNK",
    "CIPHERS_FIRST",
    "FAR",
    "LONGEST_SLEEP",
    "LONGEST_SLEEP_BEFORE",
    "OPENED",
    "QUICK_RECEIVES",
    "RECEIVE",
    "SFTP_READ",
    "SFTP_READS",
    "SFTP_WRITE",
    "SFTP_WRITES",
]

# Connections.

#: GCM takes 1.5 ms of CPU for each MB, CTR with a MAC 2.2; paramiko lists it last.
CIPHERS_FIRST = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
#: In how many of the first receives the acknowledgement is not delayed: until after the first
#: command, sshd holds back what it says next until it has one, for 40 ms of the 70 that a
#: connection takes. Each takes a system call.
QUICK_RECEIVES = 60
#: Seconds that the thread of a connection sleeps at most while nothing arrives. paramiko's own
#: tenth of a second costs a third of a core for 2,000 connections that do nothing, and 20 ms for
#: each command on one of them.
LONGEST_SLEEP = 15.0
#: The same until it has logged in: how much later than wanted a deadline may be noticed. Where 64
#: log in at once, each takes a second, and paramiko's tenth takes 4 % more CPU.
LONGEST_SLEEP_BEFORE = 0.5

# Commands.

#: Seconds that opening a session takes at least where the next one is opened ahead: 20 ms away, a
#: command then takes 25 ms in place of 46. Over loopback, it takes a third of this, and would save
#: less than it costs.
FAR = 0.001
#: How many sessions it takes to know that. Many connections run one command only.
OPENED = 2

# Data.

#: Bytes that are taken from a socket at once: as much as there is. Asking for the length of a
#: packet, and then for its rest, gives 271 MB/s of output, with 64 KB it is 316, with this 348.
RECEIVE = 256 * 1024
#: Bytes of output, or of a file, that are passed on at once: with 1 KB, 106 MB/s of output, with 32
#: KB 274, with this 305; four times as much gives 6 % more, and keys have to get through as well.
CHUNK = 256 * 1024

# Files.

#: Bytes that a request of SFTP asks for, the most that OpenSSH gives, and how many are under way:
#: 497 MB/s, with 31 KB and 64 of them 207. Together they stay below the window of a channel (2 MB).
SFTP_READ = 255 * 1024
SFTP_READS = 8
#: Bytes that a request of SFTP writes, as much as fits into one SSH packet, and how many are under
#: way.
SFTP_WRITE = 31 * 1024
SFTP_WRITES = 64
#: Bytes from which on a file goes through ``cat``: 200 MB are then written half as fast again as
#: over SFTP, and read a quarter faster. To begin with it takes four round trips.
CAT_FROM = 8 * 1024 * 1024
#: How many small files, and bytes of them, are copied together: 1,000 files of 1 KB take 0.15 s,
#: one after another 1.6 s. It is as much as is copied of a large file between two looks at whether
#: to go on; and every system allows 256 open files.
BATCH_FILES = 200
BATCH_BYTES = 256 * 1024
