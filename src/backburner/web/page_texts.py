"""What only the pages for end users say, beside what the components say as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EN = {
    "check": "Check again",
    "come_back": "You may leave this page: the work goes on. Come back to this address to see how far it is.",
    "every": "All",
    "active": "Active",
    "finished": "Finished",
    "this_day": "Today",
    "day_before": "Yesterday",
    "ago": "{time} ago",
    "older": "Older",
    "newest": "The newest",
    "none": "You have started nothing that runs in the background. What you start appears here.",
    "none_active": "Nothing is running or waiting.",
    "none_finished": "Nothing has finished yet.",
    "more_active": "Only the newest are shown.",
    "notice": "“{title}” runs in the background with the ID {id}. {follow} or find it later in {list}.",
    "follow": "Follow it",
    "ended_ago": "{state} {time}",
    "days": "Mon Tue Wed Thu Fri Sat Sun",
    "months": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "date": "{weekday} {day} {month}",
    "starts_at": "Starts on {time}",
}
_CS = {
    "check": "Podívat se znovu",
    "come_back": "Stránku můžete opustit: práce pokračuje. Na této adrese uvidíte, jak je daleko.",
    "every": "Všechny",
    "active": "Probíhají",
    "finished": "Skončily",
    "this_day": "Dnes",
    "day_before": "Včera",
    "ago": "před {time}",
    "older": "Starší",
    "newest": "Nejnovější",
    "none": "Nespustili jste nic, co by běželo na pozadí. Co spustíte, objeví se tady.",
    "none_active": "Nic neběží ani nečeká.",
    "none_finished": "Zatím nic neskončilo.",
    "more_active": "Zobrazeny jsou jen nejnovější.",
    "notice": "„{title}“ běží na pozadí pod číslem {id}. {follow}, nebo to později najdete v {list}.",
    "follow": "Sledujte průběh",
    "ended_ago": "{state} {time}",
    "days": "po út st čt pá so ne",
    "months": "1. 2. 3. 4. 5. 6. 7. 8. 9. 10. 11. 12.",
    "date": "{weekday} {day}. {month}",
    "starts_at": "Začne {time}",
}
_DE = {
    "check": "Noch einmal nachsehen",
    "come_back": "Sie können diese Seite verlassen: die Arbeit geht weiter. Hier sehen Sie, wie weit sie ist.",
    "every": "Alle",
    "active": "Laufend",
    "finished": "Beendet",
    "this_day": "Heute",
    "day_before": "Gestern",
    "ago": "vor {time}",
    "older": "Ältere",
    "newest": "Die neuesten",
    "none": "Sie haben nichts gestartet, was im Hintergrund läuft. Was Sie starten, erscheint hier.",
    "none_active": "Nichts läuft oder wartet.",
    "none_finished": "Noch ist nichts beendet.",
    "more_active": "Nur die neuesten werden gezeigt.",
    "notice": "„{title}“ läuft im Hintergrund mit der Nummer {id}. {follow} oder finden Sie es später unter {list}.",
    "follow": "Verfolgen Sie es",
    "ended_ago": "{state} {time}",
    "days": "Mo Di Mi Do Fr Sa So",
    "months": "Jan Feb März Apr Mai Juni Juli Aug Sept Okt Nov Dez",
    "date": "{weekday} {day}. {month}",
    "starts_at": "Beginnt {time}",
}
PAGE_TEXTS: Mapping[str, Mapping[str, Any]] = {"en": _EN, "cs": _CS, "de": _DE}
"""By the code of the language."""
