"""The YAML that Timeloop reads: anchors, merge keys and a few tags beside what this program's files may have.

Nothing is constructed from a tag; it is noted beside the data. Aliases repeat the events of what they stand
for, so that the limits on size and depth hold for what is expanded, too.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from procrustes_model.spec.text.yaml_text import Builder, Path

MERGE = "<<"
TAG = "!"
"""The key under which a tag stands in tagged content; no YAML key of these files is called that."""


@dataclass
class _Recording:
    """The events of one anchored node, while it is read."""

    anchor: str
    events: list[Any] = field(default_factory=list)
    depth: int = 0

    def take(self, event: Any) -> bool:
        """Add an event and say whether the node ends with it."""
        self.events.append(event)
        name = type(event).__name__
        self.depth += name.endswith("StartEvent")
        self.depth -= name.endswith("EndEvent")
        return self.depth == 0


class DialectBuilder(Builder):
    """Builds data of text in Timeloop's dialect of YAML."""

    def __init__(self, file: str | None) -> None:
        super().__init__(file)
        self._anchors: dict[str, list[Any]] = {}
        self._recordings: list[_Recording] = []

    def take(self, event: Any) -> None:
        """Take the next event of the text, or those that an alias stands for."""
        if type(event).__name__ == "AliasEvent":
            if event.anchor not in self._anchors:
                self._fail(
                    event, f"alias '*{event.anchor}'", "there is no anchor of that name above, complete"
                )
            for repeated in self._anchors[event.anchor]:
                self.take(repeated)
            return
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            event = copy.copy(event)
            event.anchor = None
            self._recordings.append(_Recording(anchor))
        for recording in list(self._recordings):
            if recording.take(event):
                self._recordings.remove(recording)
                self._anchors[recording.anchor] = recording.events
        super().take(event)

    def _tag(self, event: Any) -> None:
        """Allow a tag: `_place` notes it."""

    def _place(self, event: Any, value: Any) -> Path:
        tag = getattr(event, "tag", None)
        if tag is not None and tag != TAG:
            if isinstance(value, dict):
                value[TAG] = tag
            elif isinstance(value, list):
                self._fail(event, f"tag '{tag}' on a list", "tags are read on 'key: value' pairs")
            elif value in ("", None):
                value = {TAG: tag}
            else:
                self._fail(event, f"tag '{tag}' on a text", "tags are read on 'key: value' pairs")
        return super()._place(event, value)

    def _close(self) -> None:
        """Close a list or mapping, and let what its merge key names fill in what it does not say itself."""
        container = self.stack[-1].container
        if isinstance(container, dict) and MERGE in container:
            merged = container.pop(MERGE)
            for source in merged if isinstance(merged, list) else [merged]:
                for key, value in source.items() if isinstance(source, dict) else ():
                    container.setdefault(key, value)
        super()._close()
