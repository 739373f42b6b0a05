"""What a config of ssh can ask for, and deployer does not do."""

from __future__ import annotations

from .ssh_config import Options

__all__ = ["is_binary", "unsupported"]


def is_binary(filename: str) -> bool:
    """Whether a file is a key revocation list, as ``ssh-keygen -k`` writes them."""
    try:
        with open(filename, "rb") as file:
            return file.read(6) == b"SSHKRL"
    except OSError:
        # Then every host is refused: nobody knows which keys are revoked.
        return False


# What deployer does not do, the values that do not ask for it, and what to do in its place.
_UNSUPPORTED = {
    "BindInterface": ((), "BindAddress works"),
    "CanonicalizeHostname": (("no",), "names stay as HostName has them"),
    "CheckHostIP": (("no",), "keys are known by the host's name alone"),
    "DynamicForward": ((), "there is no SOCKS proxy; see `host.forward_local`"),
    "ForwardX11": (("no",), "there is no X11"),
    "GSSAPIAuthentication": (("no",), "the other ways of logging in are tried"),
    "HostbasedAuthentication": (("no",), "the other ways of logging in are tried"),
    "KnownHostsCommand": (("none",), "keys are known from files alone"),
    "LocalCommand": (("none",), "no local command is run"),
    "LocalForward": ((), "see `host.forward_local`"),
    "NoHostAuthenticationForLocalhost": (("no",), "the keys of all hosts are checked"),
    "PKCS11Provider": (("none",), "load its keys into the agent with `ssh-add -s`"),
    "ProxyUseFdpass": (("no",), "the command has to pass the data itself"),
    "PubkeyAcceptedAlgorithms": ((), "all kinds of keys are tried"),
    "RemoteCommand": (("none",), "what is run is what `run` is given"),
    "RemoteForward": ((), "see `host.forward_remote`"),
    "RequiredRSASize": ((), "RSA keys of any size are taken"),
    "SecurityKeyProvider": (
        ("none", "internal", "$ssh_sk_provider"),
        "keys on tokens work through the agent",
    ),
    "SessionType": (("default",), "commands are run"),
    "Tunnel": (("no",), "there are no tunnels"),
    "VerifyHostKeyDNS": (("no",), "keys are known from files alone"),
}
# Distributions set these for everybody in the system's file; that is nobody's wish.
_FROM_DISTRIBUTIONS = {"GSSAPIAuthentication", "PubkeyAcceptedAlgorithms", "RequiredRSASize"}


def unsupported(options: Options, revoked: str | None) -> list[str]:
    """Return what the config asks for in vain, a line for a person each.

    :param revoked: the file of revoked keys that it names.
    """
    found = []
    for line in options.lines.get("forwardagent", ()):
        if line.values[0].lower() not in ("yes", "true", "no", "false"):
            found.append(f"{line.where}: ForwardAgent {line.rest} (only our own agent: `yes`)")
    if revoked is not None and is_binary(revoked):
        line = options.lines["revokedhostkeys"][0]
        found.append(f"{line.where}: RevokedHostKeys {line.rest} (a text file of keys works)")
    for name, (harmless, instead) in _UNSUPPORTED.items():
        for line in options.lines.get(name.lower(), ()):
            if not line.values or line.values[0].lower() in harmless:
                continue
            if name in _FROM_DISTRIBUTIONS and line.filename.startswith("/etc/"):
                continue
            if name == "LocalCommand" and options.get("permitlocalcommand", "no") == "no":
                continue
            if name == "ProxyUseFdpass" and "proxycommand" not in options.lines:
                continue
            if name.endswith("Forward") and options.get("clearallforwardings") == "yes":
                continue
            found.append(f"{line.where}: {name} {line.rest} ({instead})")
    return found
