"""R2.2.1: exhaustive searches of keys and passwords are infeasible."""

from limpet.audit.check import Check, Input, Means, Stage
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.guessing import guess_claim_codes, guess_passwords
from limpet.audit.judgements.attacks import judge_guesses, judge_guesses_spread
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Guesses at a password from one address and from many, and at a claim code."""
    guesses = target.observe(guess_passwords)
    parts = [attempt("one address", lambda: judge_guesses(guesses))]
    if guesses.other_sources:
        parts.append(attempt("many addresses", lambda: judge_guesses_spread(guesses)))
    if target.fresh is not None:
        parts.append(attempt("claim", lambda: judge_guesses(target.observe(guess_claim_codes))))
    return combine_all(*parts)


CHECK = Check(
    statement="R2.2.1",
    section="2.2.1",
    means=(Means.NETWORK,),
    run=run,
    needs=(Input.DEVICE,),
    stage=Stage.GUESSING,
    seconds=20.0,
)
