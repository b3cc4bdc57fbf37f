"""The two faces of the page: the form with what is open, and the one view of a new challenge."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

from pikaserver_scep.challenges.one_time import KnownChallenge, NewChallenge
from pikaserver_scep.challenges.page import commands
from pikaserver_scep.challenges.page import html as tags
from pikaserver_scep.challenges.page.forms import LIFETIMES, Filled

_LEAD = "A device that has no certificate yet shows a challenge, and gets one."
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


NOTHING_TYPED = Filled()


@dataclass(frozen=True, slots=True)
class Form:
    """What the form shows: ``token`` goes with it, ``fault`` is why it is shown again."""

    template: str
    token: str
    filled: Filled = NOTHING_TYPED
    fault: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What a device has to know beside the challenge; no ``url``: no listener serves SCEP."""

    url: str | None
    thumbprints: Sequence[tuple[str, str]]


def form_page(form: Form, known: Sequence[KnownChallenge], now: datetime) -> str:
    """Return the form and the challenges that can still be used."""
    return tags.document(
        f"Challenges for “{form.template}”",
        _LEAD,
        [*_messages(form), _form(form), _open(form, known, now)],
    )


def made_page(made: NewChallenge, uses: int, place: Place) -> str:
    """Return the only page that ever shows this challenge."""
    ends = f"{made.expires_at:%Y-%m-%d %H:%M} UTC"
    many = "one certificate" if uses == 1 else f"{uses} certificates"
    bound = str(made.bound)
    whose = f", for {bound} only" if bound else ""
    return tags.document(
        "The challenge is made",
        "It is shown this one time: copy it now. Nobody can look it up later.",
        [
            (
                f'<p class="done" role="status"><strong>✔ Ready.</strong> Good for {many} until'
                f" {escape(ends)}{escape(whose)}.</p>"
            ),
            tags.to_copy("challenge", "Challenge", made.challenge, "secret"),
            tags.qr_code(made.challenge, "The challenge as a QR code"),
            *_place(place),
            *_commands(made, place),
            '<p><a href="challenges">Back to the form and the list</a></p>',
        ],
    )


def refused_page(status: str, why: str) -> str:
    """Return a page that says why there is nothing else."""
    alert = f'<p class="alert" role="alert"><strong>▲</strong> {escape(why)}</p>'
    return tags.document(status, "Nothing was changed.", [alert])


def _messages(form: Form) -> Iterator[str]:
    if form.fault:
        yield (
            f'<p class="alert" role="alert"><strong>▲ Not done.</strong> {escape(form.fault)}</p>'
        )
    if form.note:
        yield f'<p class="done" role="status"><strong>✔</strong> {escape(form.note)}</p>'


def _form(form: Form) -> str:
    filled = form.filled
    lifetimes = [(value, label) for value, (label, _) in LIFETIMES.items()]
    return "".join(
        (
            (
                '<h2 id="new">Make a challenge</h2><form method="post" action="challenges"'
                ' aria-labelledby="new">'
            ),
            tags.hidden("deed", "create"),
            tags.hidden("token", form.token),
            tags.field(
                "common_name",
                "Name of the device (CN)",
                tags.text_input(
                    "common_name", filled.common_name, maxlength="200", autocomplete="off"
                ),
                "The challenge is good for this name only. Leave it empty for any name that the"
                " template allows.",
            ),
            _more(filled),
            tags.field(
                "lifetime",
                "Good for how long",
                tags.select("lifetime", lifetimes, filled.lifetime),
                "After that it is worthless, even if nobody used it.",
            ),
            tags.field(
                "uses",
                "For how many certificates",
                tags.text_input(
                    "uses", filled.uses, type="number", min="1", max="1000", **{"class": "short"}
                ),
                "One is safest: once it is used, nobody else can use it.",
            ),
            '<button type="submit">Make the challenge</button></form>',
        )
    )


def _more(filled: Filled) -> str:
    """Return what most people leave alone; open where somebody did not."""
    more = tags.field(
        "subject",
        "Whole subject",
        tags.text_input("subject", filled.subject, maxlength="1000", autocomplete="off"),
        "Instead of a name: CN=plc-21,O=Example,C=CH. The device has to ask for exactly this.",
    ) + tags.field(
        "names",
        "Alternative names (SAN)",
        tags.text_area("names", filled.names),
        "One in a line: dns:plc-21.example, ip:192.0.2.21 or email:anna@example.org. The device"
        " has to ask for all of them and no other.",
    )
    shown = " open" if filled.subject or filled.names else ""
    summary = "<summary>More about what the device may ask for</summary>"
    return f"<details{shown}>{summary}{more}</details>"


def _open(form: Form, known: Sequence[KnownChallenge], now: datetime) -> str:
    heading = '<h2 id="open">Still open</h2>'
    if not known:
        return f"{heading}<p>No challenge waits to be used.</p>"
    rows = "".join(_row(form, one, now) for one in known)
    heads = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("No.", "Good for", "Certificates left", "Ends", "Made by", "Withdraw")
    )
    return (
        f'{heading}<div class="wide" role="region" aria-labelledby="open" tabindex="0"><table>'
        "<caption>Challenges that a device can still use. Their text is not kept.</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(form: Form, one: KnownChallenge, now: datetime) -> str:
    ends = f"{one.expires_at:%Y-%m-%d %H:%M} UTC"
    withdraw = (
        '<form method="post" action="challenges">'
        f"{tags.hidden('deed', 'withdraw')}{tags.hidden('token', form.token)}"
        f"{tags.hidden('id', str(one.id))}"
        f'<button class="plain" type="submit">Withdraw<span class="skip"> no. {one.id}</span>'
        "</button></form>"
    )
    cells = (
        escape(str(one.bound) or "any name"),
        str(one.uses_left),
        (
            f'<time datetime="{one.expires_at:%Y-%m-%dT%H:%M:%SZ}" title="{ends}">'
            f"{_left(one.expires_at - now)}</time>"
        ),
        escape(one.created_by),
        withdraw,
    )
    return f'<tr><th scope="row">{one.id}</th>' + "".join(f"<td>{c}</td>" for c in cells) + "</tr>"


def _left(left: timedelta) -> str:
    """Say how long something lasts, in words."""
    for unit, word in ((_DAY, "day"), (_HOUR, "hour"), (timedelta(minutes=1), "minute")):
        count = left // unit
        if count >= 1:
            return f"in {count} {word}{'' if count == 1 else 's'}"
    return "in less than a minute"


def _place(place: Place) -> Iterator[str]:
    yield "<h2>What the device has to know</h2>"
    if place.url is None:
        yield (
            '<p class="alert"><strong>▲</strong> No listener serves SCEP, so no device can reach it'
            " yet.</p>"
        )
    else:
        yield tags.to_copy("url", "SCEP address (URL)", place.url)
    for name, digits in place.thumbprints:
        label = f"Fingerprint (thumbprint) of the CA certificate, {name}"
        yield tags.to_copy(f"thumbprint-{name.lower()}", label, digits)


def _commands(made: NewChallenge, place: Place) -> Iterator[str]:
    if place.url is None:
        return
    yield "<h2>Ready commands</h2>"
    yield '<p class="hint">For a computer with Linux. A click marks a whole block.</p>'
    for label, write in (("strongSwan", commands.strongswan), ("certmonger", commands.certmonger)):
        yield tags.command(label, write(place.url, made.challenge, made.bound))
