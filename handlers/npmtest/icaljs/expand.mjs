// Expands calendars with ical.js, whose file is the last argument; rrule is installed beside it. In: a JSON list of {ics, until,
// probes}. Out: a list of {error}, or of what is read: the instances that begin until then, the zones with the instants at
// which their clocks show the probes, and the properties of the events. Times are seconds since 1970; clock times and days
// are read as if in UTC.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const library = process.argv.at(-1);
const { default: ICAL } = await import(pathToFileURL(library).href);
const { rrulestr } = createRequire(library)("rrule");
ICAL.design.strict = true;

// ical.js passes by BYSETPOS beside BYMONTHDAY. Such a rule is turned into the dates that rrule gives by it.
function settle(master, until) {
  const rule = master.getFirstPropertyValue("rrule");
  if (!rule?.parts.BYSETPOS || !rule.parts.BYMONTHDAY) return;
  const first = master.getFirstPropertyValue("dtstart");
  const zone = first.zone;
  const asUTC = (t) => new Date(Date.UTC(t.year, t.month - 1, t.day, t.hour, t.minute, t.second));
  const text = rule.toString().replace(/;?UNTIL=[^;]*/, "");
  const options = rrulestr(text, { dtstart: asUTC(first) });
  const property = master.getFirstProperty("dtstart");
  for (const d of options.between(asUTC(first), new Date(until * 1000 + 86400000), true)) {
    const t = new ICAL.Time({
      year: d.getUTCFullYear(), month: d.getUTCMonth() + 1, day: d.getUTCDate(),
      hour: first.hour, minute: first.minute, second: first.second, isDate: first.isDate,
    }, zone);
    if (rule.until && t.compare(rule.until) > 0) continue;
    const added = new ICAL.Property("rdate");
    if (property.getParameter("tzid")) added.setParameter("tzid", property.getParameter("tzid"));
    if (first.isDate) added.resetType("date");
    added.setValue(t);
    master.addProperty(added);
  }
  master.removeAllProperties("rrule");
}

const seconds = (t) => t.toUnixTime();

function expand({ ics, until, probes }) {
  const calendar = new ICAL.Component(ICAL.parse(ics));
  const all = calendar.getAllSubcomponents("vevent");
  const master = all.find((c) => !c.hasProperty("recurrence-id")) ?? all[0];
  settle(master, until);
  const event = new ICAL.Event(master, { exceptions: all.filter((c) => c !== master), strictExceptions: true });
  const instances = [];
  const add = (item, start, end) =>
    instances.push({ start: seconds(start), end: seconds(end), summary: item.summary ?? "" });
  if (event.isRecurring()) {
    const iterator = event.iterator();
    for (let next = iterator.next(); next && seconds(next) <= until; next = iterator.next()) {
      const o = event.getOccurrenceDetails(next);
      add(o.item, o.startDate, o.endDate);
    }
  } else {
    add(event, event.startDate, event.endDate);
  }
  const zones = calendar.getAllSubcomponents("vtimezone").map((c) => {
    const zone = new ICAL.Timezone(c);
    const instants = (probes ?? []).map((shown) => {
      const d = new Date(shown * 1000);
      return new ICAL.Time({
        year: d.getUTCFullYear(), month: d.getUTCMonth() + 1, day: d.getUTCDate(),
        hour: d.getUTCHours(), minute: d.getUTCMinutes(), second: d.getUTCSeconds(), isDate: false,
      }, zone).toUnixTime();
    });
    return { name: zone.tzid, instants };
  });
  const properties = (c) =>
    c.getAllProperties().map((p) => ({
      name: p.name, parameters: p.toJSON()[1], values: p.getValues().map((v) => (typeof v === "string" ? v : String(v))),
    }));
  return { instances, zones, events: all.map(properties) };
}

const results = JSON.parse(readFileSync(0, "utf8")).map((one) => {
  try {
    return expand(one);
  } catch (e) {
    return { error: String(e) };
  }
});
process.stdout.write(JSON.stringify(results));
