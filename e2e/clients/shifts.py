"""Reads a calendar as other programs do: every occurrence between two instants, one JSON line each."""
import datetime
import json
import sys

import icalendar
import recurring_ical_events

path, start, end = sys.argv[1:4]
with open(path, 'rb') as file:
    calendar = icalendar.Calendar.from_ical(file.read())
window = [datetime.datetime.fromisoformat(text.replace('Z', '+00:00')) for text in (start, end)]
for event in recurring_ical_events.of(calendar).between(*window):
    times = [event.decoded(name).astimezone(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ') for name in ('DTSTART', 'DTEND')]
    print(json.dumps({'uid': str(event['UID']), 'summary': str(event['SUMMARY']), 'start': times[0], 'end': times[1]}))
