"""Plays a scene under one fault after the other, and reports all that broke."""

import collections


class Tally:
    """How the plays went, by outcome; what broke, by fault."""

    def __init__(self, what):
        self.what = what
        self.ended = collections.Counter()
        self.broken = []

    def play(self, scene, name, may_end, **how):
        """One play under the fault called name; may_end: outcomes allowed."""
        try:
            outcome = scene.play(**how)
            if outcome not in may_end:
                raise AssertionError(f"{outcome}:\n{scene.log}")
        except AssertionError as why:
            self.broken.append(f"{name}: {why}")
            self.ended["broken"] += 1
            print(self.broken[-1], flush=True)
            return
        self.ended[outcome] += 1

    def check(self):
        """Fails if anything broke."""
        total = sum(self.ended.values())
        print(f"{self.what}: {total} plays, {dict(self.ended)}")
        assert total > 0
        assert not self.broken, \
            f"{len(self.broken)} of {total} broke:\n" + \
            "\n".join(self.broken[:20])
