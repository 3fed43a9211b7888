"""The order in which candidates are reviewed, and what was decided so far. No widgets, no files."""

from __future__ import annotations

from collections.abc import Iterable

from ...layers.answers import Answer, Answers, Candidate
from ...layers.located import LocatedPhoto

BY_HAND = 0
"""In place of a rank: the place was proposed by a person."""


class ReviewWalk:
    """One candidate of one photo is in front. Photos without candidates are passed over.

    :attr:`accepted`: photo → rank (:data:`BY_HAND` for a proposed place); :attr:`refused`: pairs of photo and rank.
    """

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self._open = [answer for answer in answers.answers if answer.candidates]
        self._photo = self._rank_at = 0
        self.accepted: dict[str, int] = {}
        self.refused: set[tuple[str, int]] = set()

    @property
    def answer(self) -> Answer | None:
        """The answer of the photo in front; None where no photo has candidates."""
        return self._open[self._photo] if self._open else None

    @property
    def candidate(self) -> Candidate | None:
        """The candidate in front."""
        return self.answer.candidates[self._rank_at] if self.answer is not None else None

    @property
    def photo_number(self) -> tuple[int, int]:
        """Number of the photo in front, from 1, and how many photos there are."""
        return self._photo + 1, len(self._open)

    def recall(self, places: Iterable[LocatedPhoto], refused: Iterable[LocatedPhoto]) -> None:
        """Take over what an earlier session decided about these candidates."""
        of_path = {answer.path: answer for answer in self._open}
        self.accepted, self.refused = {}, set()
        for one in places:
            answer = of_path.get(one.path)
            if answer is not None:
                rank = one.rank if one.result == self.answers.folder and not one.by_hand else None
                self.accepted[answer.photo] = rank if rank is not None else BY_HAND
        for one in refused:
            answer = of_path.get(one.path)
            if answer is not None and one.rank is not None and one.result == self.answers.folder:
                self.refused.add((answer.photo, one.rank))

    def go(self, photo: str, rank: int) -> bool:
        """Bring a candidate to the front, the photo by its name or its file; False where there is no such one."""
        for number, answer in enumerate(self._open):
            ranks = [candidate.rank for candidate in answer.candidates]
            if photo in (answer.photo, answer.path) and rank in ranks:
                self._photo, self._rank_at = number, ranks.index(rank)
                return True
        return False

    def next(self) -> bool:
        """To the candidate after, over the end to the first of the next photo; False at the very end."""
        if self.answer is None:
            return False
        if self._rank_at + 1 < len(self.answer.candidates):
            self._rank_at += 1
        elif self._photo + 1 < len(self._open):
            self._photo, self._rank_at = self._photo + 1, 0
        else:
            return False
        return True

    def previous(self) -> bool:
        """To the candidate before, over the first to the last of the photo before; False at the very beginning."""
        if self._rank_at > 0:
            self._rank_at -= 1
        elif self._photo > 0:
            self._photo -= 1
            self._rank_at = len(self.answer.candidates) - 1
        else:
            return False
        return True

    def accept(self, rank: int | None = None) -> None:
        """The candidate in front is where the photo was taken, or a place by hand (:data:`BY_HAND`)."""
        candidate = self.candidate
        if candidate is not None:
            self.accepted[candidate.photo] = candidate.rank if rank is None else rank
            self.refused.discard((candidate.photo, self.accepted[candidate.photo]))

    def refuse(self) -> None:
        """The photo was not taken at the candidate in front."""
        candidate = self.candidate
        if candidate is None:
            return
        self.refused.add((candidate.photo, candidate.rank))
        if self.accepted.get(candidate.photo) == candidate.rank:
            del self.accepted[candidate.photo]

    def forget(self, photo: str, rank: int | None) -> None:
        """What was decided last of a photo could not be kept."""
        self.accepted.pop(photo, None)
        self.refused.discard((photo, rank or BY_HAND))

    def to_next_photo(self) -> bool:
        """To the first photo after this one, or before it, that has no place yet; False where all have one."""
        for step in range(1, len(self._open)):
            number = (self._photo + step) % len(self._open)
            if self._open[number].photo not in self.accepted:
                self._photo, self._rank_at = number, self._first_open(self._open[number]) or 0
                return True
        return False

    def to_next_candidate(self) -> bool:
        """To the next candidate of the photo that was not refused, else to the next photo without a place."""
        answer = self.answer
        if answer is None:
            return False
        later = self._first_open(answer, self._rank_at + 1)
        place = later if later is not None else self._first_open(answer)
        if place is not None:
            self._rank_at = place
            return True
        return self.to_next_photo()

    def _first_open(self, answer: Answer, start: int = 0) -> int | None:
        for at in range(start, len(answer.candidates)):
            if (answer.photo, answer.candidates[at].rank) not in self.refused:
                return at
        return None
