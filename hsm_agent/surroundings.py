"""What lines are dialled with, by the settings of a data folder."""

from dataclasses import replace

from hsm_agent import clock
from hsm_agent.channel.greeting import Surroundings
from hsm_agent.identity.channel_keys import abilities_here
from hsm_agent.places import Place
from hsm_agent.settings.settings import LineSettings


def surroundings(place: Place, line: LineSettings) -> Surroundings:
    """Return the system's clock and randomness with the timeout and the proxy of the settings."""
    proxy = line.proxy
    if proxy is not None and proxy.password_file:
        proxy = replace(proxy, password_file=str(place.within(proxy.password_file)))
    return Surroundings(clock.now_ms, clock.entropy, line.connect_timeout, proxy, abilities_here())
