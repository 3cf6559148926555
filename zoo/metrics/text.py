"""BLEU and chrF by sacrebleu, never without the signature that makes them comparable.

A BLEU without tokenisation, case and smoothing cannot be compared with another
(Post 2018, https://arxiv.org/abs/1804.08771); `Score` carries all of it in one line.
"""

from typing import NamedTuple


class Score(NamedTuple):
    """A score from 0 to 100, and sacrebleu's signature of how it was made."""

    value: float
    signature: str


def bleu(hypotheses, references, **kwargs):
    """Corpus BLEU.

    Args:
        hypotheses: Detokenised sentences, strings.
        references: One string per hypothesis, or a list of strings if there are
            several references each; equally many for all.
        **kwargs: For `sacrebleu.BLEU`, such as `lowercase` or `tokenize`.

    Returns:
        A `Score`.

    Raises:
        ImportError: If sacrebleu is not installed.
        ValueError: If the numbers of sentences do not match, or there are none.

    Source:
        Papineni et al. 2002, https://aclanthology.org/P02-1040.
    """
    return _corpus_score("BLEU", hypotheses, references, kwargs)


def chrf(hypotheses, references, **kwargs):
    """Corpus chrF, the F-score of character n-grams: milder on word forms than BLEU.

    Args:
        hypotheses: As for `bleu`.
        references: As for `bleu`.
        **kwargs: For `sacrebleu.CHRF`; `word_order=2` makes it chrF++.

    Returns:
        A `Score`.

    Raises:
        ImportError: If sacrebleu is not installed.
        ValueError: As `bleu`.

    Source:
        Popović 2015, https://aclanthology.org/W15-3049.
    """
    return _corpus_score("CHRF", hypotheses, references, kwargs)


def _corpus_score(name, hypotheses, references, kwargs):
    try:
        import sacrebleu
    except ImportError as error:
        raise ImportError(
            "Text metrics need sacrebleu: pip install 'generative-zoo[text]'."
        ) from error
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise ValueError("Lists of sentences are needed. Received: one string.")
    hypotheses = list(hypotheses)
    references = [[r] if isinstance(r, str) else list(r) for r in references]
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(
            "Every hypothesis needs its reference, and there must be one at least. "
            f"Received: {len(hypotheses)} hypotheses, {len(references)} references."
        )
    if len({len(r) for r in references}) != 1:
        raise ValueError(
            "Every sentence needs equally many references. Received: from "
            f"{min(map(len, references))} to {max(map(len, references))}."
        )
    metric = getattr(sacrebleu, name)(**kwargs)
    streams = [list(stream) for stream in zip(*references, strict=True)]
    score = metric.corpus_score(hypotheses, streams).score
    # A geometric mean of ones, by logarithms, can come out as 100.00000000000004.
    return Score(min(float(score), 100.0), str(metric.get_signature()))
