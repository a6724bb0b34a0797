package graphtest

// The words of the sample's mail. All names, firms and figures are invented. {n} is a number of the thread, {day} a
// weekday, {to} and {me} the first names of recipient and author.

// A topic is a thread of mails: its subject, and what is written in it, mail by mail and paragraph by paragraph.
type topic struct {
	subject string
	turns   [][]string
	file    string // attachment of the first mail: pdf, csv, txt, docx, png or none
}

func topics() []topic {
	return []topic{
		{"Offer {n} for Halvorsen Pumps", [][]string{
			{"Hi {to},", "please find the draft of offer {n} attached. I have put the transport at 4% and left the price of the seals open.",
				"Can you check the delivery dates before {day}?", "Best,\n{me}"},
			{"Thanks {me} here, quick one:", "the dates on page 2 do not match what Kestrel Logistics confirmed. They said twelve working days, not ten.",
				"Shall I call them?"},
			{"Yes please. And ask about the insurance while you are at it; last year we paid it twice."},
			{"Done. Twelve days it is, insurance is in the price. I corrected the table and saved it under the same name."},
			{"Perfect, sent to the customer just now. Fingers crossed."},
		}, "pdf"},
		{"Project Aurora: status of week 10", [][]string{
			{"All,", "short status of Aurora:", "1. Permits: the county answers by {day}.\n2. Budget: 61% used, forecast unchanged.\n3. Risks: the second crane is still not booked.",
				"Please send corrections today.", "{me}"},
			{"One correction: the crane is booked since yesterday, number {n}. The invoice will follow."},
			{"Great news. I will take the risk off the list."},
			{"Could somebody forward me the permit letter? I only have the first page."},
		}, "docx"},
		{"Überfällige Rechnung {n}", [][]string{
			{"Guten Morgen {to},", "die Rechnung {n} ist seit dem 20. Februar fällig. Könntest du bitte nachsehen, ob sie bei euch hängen geblieben ist?",
				"Viele Grüße\n{me}"},
			{"Hallo {to},", "sie liegt bei der Freigabe, weil die Bestellnummer fehlt. Ich kläre das bis {day}."},
			{"Danke dir, dann mahne ich noch nicht."},
			{"Freigegeben und überwiesen – 1.240,00 €. Bitte entschuldige die Verzögerung."},
		}, "pdf"},
		{"Interview schedule for the controller position", [][]string{
			{"Hi {to},", "we have three candidates on {day}. Rooms Elbe and Weser are free all morning.", "Would 9:00, 10:15 and 11:30 work for you?"},
			{"11:30 is difficult, could we start at 8:30 instead?"},
			{"8:30 it is. I am sending the CVs separately, please do not forward them."},
			{"Understood. For the record: I know the second candidate from my last job, so maybe somebody else should ask the questions there."},
		}, "none"},
		{"Server maintenance on {day} night", [][]string{
			{"Dear colleagues,", "the file servers will be restarted between 22:00 and 23:30. Please save your work and log off.",
				"Questions to the service desk, ticket {n}.", "{me}"},
			{"Will the archive be affected too? We have a data room closing that evening."},
			{"The archive stays up. I have put a note in the ticket so that nobody touches it."},
		}, "none"},
		{"Price list Q2 – please treat as confidential", [][]string{
			{"{to},", "attached the new price list. It goes live on 1 April, until then it must not leave the team.",
				"The margin on spare parts is down to 18 per cent, we should talk about that on {day}."},
			{"18 is too thin. Who agreed to that?"},
			{"It was in the minutes of February, item {n}. I was surprised as well."},
			{"Let us keep this between us until the meeting."},
			{"Agreed. I will bring the numbers of the last three years."},
		}, "csv"},
		{"Réunion budget : ordre du jour", [][]string{
			{"Bonjour {to},", "voici l’ordre du jour de {day} : point d’étape, prévisions du deuxième trimestre, divers.",
				"N’hésite pas à compléter.", "Cordialement,\n{me}"},
			{"Bonjour,", "je propose d’ajouter le contrat de maintenance n° {n}, qui arrive à échéance en avril."},
			{"C’est noté, merci !"},
		}, "none"},
		{"Complaint {n}: damaged pallets", [][]string{
			{"Hello {to},", "four of the twelve pallets arrived with broken wrapping. Photos attached. The driver signed for it.",
				"Do we send replacement first or wait for the insurer?"},
			{"Send the replacement today, we will argue with the insurer later."},
			{"On its way, tracking number KL-{n}. The customer is informed."},
			{"Insurer wants the original delivery note by {day}. Who has it?"},
			{"I do. Scan follows in five minutes."},
		}, "png"},
		{"Lunch on {day}?", [][]string{
			{"The new noodle place by the bridge? 12:15?"},
			{"In! 🍜 But I have to be back by one."},
			{"Me too. I will book a table under {n}… just kidding, under my name 🙂"},
		}, "none"},
		{"Access rights for the data room", [][]string{
			{"Hi {to},", "could you give read access to the three people from Brightwater Utilities? Their lawyer asked for it again.",
				"Folder numbers 4, 7 and {n}."},
			{"4 and 7 are done. The last one has personnel files in it, so I need a yes from HR first."},
			{"HR says yes to the contracts, no to the assessments. Can you split it?"},
			{"Split, and access granted until {day} evening."},
		}, "txt"},
		{"在庫確認のお願い（{n}）", [][]string{
			{"{to}さん", "お疲れ様です。型番 {n} の在庫数をご確認いただけますか。", "よろしくお願いいたします。\n{me}"},
			{"確認しました。倉庫に48個あります。"},
			{"ありがとうございます。30個を確保してください。"},
		}, "csv"},
		{"Minutes of the safety walk", [][]string{
			{"Dear all,", "minutes of the walk are below.", "- Hall 2: fire door blocked by boxes (to be cleared by {day})\n- Hall 3: fine\n- Yard: lamp {n} broken",
				"Thanks for your time,\n{me}"},
			{"Boxes are gone, see photo."},
			{"Lamp ordered. Until then please do not park there after dark."},
		}, "none"},
	}
}

// notices are mails from outside, written by systems: subject and text, one line each.
func notices() [][2]string {
	return [][2]string{
		{"Order confirmation {n}", "Thank you for your order {n}. We will deliver on {day} between 8:00 and 12:00."},
		{"Your shipment KL-{n} is on its way", "Kestrel Logistics: shipment KL-{n} left our hub. Expected: {day}."},
		{"Invoice {n} is available", "Your invoice {n} is available in the customer portal. Amount due: 318.40 EUR, payable by {day}."},
		{"Ticket {n} was updated", "A comment was added to ticket {n}: \"Part is in stock, technician comes on {day}.\""},
		{"Timesheet reminder", "You have {n} minutes not yet booked to a project. Please complete your timesheet by {day}."},
		{"Backup report {n}", "Job {n} finished with warnings: 2 files were in use and will be copied on {day}."},
		{"Price alert: copper", "Copper moved by more than 1.5% (reference {n}). Next report: {day}."},
		{"Newsletter: trends in pump technology", "Issue {n}. This week: quieter bearings, an interview, and dates from {day} on."},
	}
}

func weekdays() []string { return []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"} }
