package graphtest

// The words of the sample's mail. All names, firms and figures are invented. {n} is a number of the thread, {day} a
// weekday in the text's language, {to} and {me} the first names of recipient and author.

// A topic is a thread of mails: its subject, and what is written in it, mail by mail and paragraph by paragraph.
type topic struct {
	subject  string
	turns    [][]string
	file     string // attachment of the first mail: pdf, csv, txt, docx, png or none
	language language
}

// A notice is a mail that a system sends: a subject and a line.
type notice struct {
	subject, text string
	language      language
}

// englishTopics are the threads that most people here have.
func englishTopics() []topic {
	return []topic{
		{"Offer {n} for Halvorsen Pumps", [][]string{
			{"Hi {to},", "please find the draft of offer {n} attached. I have put the transport at 4% and left the price of the seals open.",
				"Can you check the delivery dates before {day}?", "Best,\n{me}"},
			{"Thanks {me} here, quick one:", "the dates on page 2 do not match what Kestrel Logistics confirmed. They said twelve working days, not ten.",
				"Shall I call them?"},
			{"Yes please. And ask about the insurance while you are at it; last year we paid it twice."},
			{"Done. Twelve days it is, insurance is in the price. I corrected the table and saved it under the same name."},
			{"Perfect, sent to the customer just now. Fingers crossed."},
		}, "pdf", inEnglish},
		{"Project Aurora: status of week 10", [][]string{
			{"All,", "short status of Aurora:", "1. Permits: the county answers by {day}.\n2. Budget: 61% used, forecast unchanged.\n3. Risks: the second crane is still not booked.",
				"Please send corrections today.", "{me}"},
			{"One correction: the crane is booked since yesterday, number {n}. The invoice will follow."},
			{"Great news. I will take the risk off the list."},
			{"Could somebody forward me the permit letter? I only have the first page."},
		}, "docx", inEnglish},
		{"Interview schedule for the controller position", [][]string{
			{"Hi {to},", "we have three candidates on {day}. Rooms Elbe and Weser are free all morning.", "Would 9:00, 10:15 and 11:30 work for you?"},
			{"11:30 is difficult, could we start at 8:30 instead?"},
			{"8:30 it is. I am sending the CVs separately, please do not forward them."},
			{"Understood. For the record: I know the second candidate from my last job, so maybe somebody else should ask the questions there."},
		}, "none", inEnglish},
		{"Server maintenance on {day} night", [][]string{
			{"Dear colleagues,", "the file servers will be restarted between 22:00 and 23:30. Please save your work and log off.",
				"Questions to the service desk, ticket {n}.", "{me}"},
			{"Will the archive be affected too? We have a data room closing that evening."},
			{"The archive stays up. I have put a note in the ticket so that nobody touches it."},
		}, "none", inEnglish},
		{"Price list Q2 – please treat as confidential", [][]string{
			{"{to},", "attached the new price list. It goes live on 1 April, until then it must not leave the team.",
				"The margin on spare parts is down to 18 per cent, we should talk about that on {day}."},
			{"18 is too thin. Who agreed to that?"},
			{"It was in the minutes of February, item {n}. I was surprised as well."},
			{"Let us keep this between us until the meeting."},
			{"Agreed. I will bring the numbers of the last three years."},
		}, "csv", inEnglish},
		{"Complaint {n}: damaged pallets", [][]string{
			{"Hello {to},", "four of the twelve pallets arrived with broken wrapping. Photos attached. The driver signed for it.",
				"Do we send replacement first or wait for the insurer?"},
			{"Send the replacement today, we will argue with the insurer later."},
			{"On its way, tracking number KL-{n}. The customer is informed."},
			{"Insurer wants the original delivery note by {day}. Who has it?"},
			{"I do. Scan follows in five minutes."},
		}, "png", inEnglish},
		{"Lunch on {day}?", [][]string{
			{"The new noodle place by the bridge? 12:15?"},
			{"In! 🍜 But I have to be back by one."},
			{"Me too. I will book a table under {n}… just kidding, under my name 🙂"},
		}, "none", inEnglish},
		{"Access rights for the data room", [][]string{
			{"Hi {to},", "could you give read access to the three people from Brightwater Utilities? Their lawyer asked for it again.",
				"Folder numbers 4, 7 and {n}."},
			{"4 and 7 are done. The last one has personnel files in it, so I need a yes from HR first."},
			{"HR says yes to the contracts, no to the assessments. Can you split it?"},
			{"Split, and access granted until {day} evening."},
		}, "txt", inEnglish},
		{"Minutes of the safety walk", [][]string{
			{"Dear all,", "minutes of the walk are below.", "- Hall 2: fire door blocked by boxes (to be cleared by {day})\n- Hall 3: fine\n- Yard: lamp {n} broken",
				"Thanks for your time,\n{me}"},
			{"Boxes are gone, see photo."},
			{"Lamp ordered. Until then please do not park there after dark."},
		}, "none", inEnglish},
	}
}

// englishNotices come from outside.
func englishNotices() []notice {
	return []notice{
		{"Order confirmation {n}", "Thank you for your order {n}. We will deliver on {day} between 8:00 and 12:00.", inEnglish},
		{"Your shipment KL-{n} is on its way", "Kestrel Logistics: shipment KL-{n} left our hub. Expected: {day}.", inEnglish},
		{"Invoice {n} is available", "Your invoice {n} is available in the customer portal. Amount due: 318.40 EUR, payable by {day}.", inEnglish},
		{"Ticket {n} was updated", "A comment was added to ticket {n}: \"Part is in stock, technician comes on {day}.\"", inEnglish},
		{"Timesheet reminder", "You have {n} minutes not yet booked to a project. Please complete your timesheet by {day}.", inEnglish},
		{"Backup report {n}", "Job {n} finished with warnings: 2 files were in use and will be copied on {day}.", inEnglish},
		{"Price alert: copper", "Copper moved by more than 1.5% (reference {n}). Next report: {day}.", inEnglish},
		{"Newsletter: trends in pump technology", "Issue {n}. This week: quieter bearings, an interview, and dates from {day} on.", inEnglish},
	}
}
