package graphtest

// A language is one that the sample's people write in.
type language string

// The languages of the sample.
const (
	inEnglish    language = "en"
	inGerman     language = "de"
	inFrench     language = "fr"
	inSpanish    language = "es"
	inPortuguese language = "pt"
	inRussian    language = "ru"
	inJapanese   language = "ja"
	inChinese    language = "zh"
	inArabic     language = "ar"
)

// charset is the character set that programs write the language in which do not write UTF-8.
func (l language) charset() string {
	switch l {
	case inGerman, inFrench, inPortuguese:
		return "windows-1252"
	case inSpanish:
		return "iso-8859-1"
	case inRussian:
		return "windows-1251"
	case inJapanese:
		return "iso-2022-jp"
	case inChinese:
		return "gb2312"
	case inArabic:
		return "windows-1256"
	}
	return ""
}

// weekdays are Monday to Friday, in the form that the language's texts here want.
func (l language) weekdays() [5]string {
	switch l {
	case inGerman:
		return [5]string{"Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag"}
	case inFrench:
		return [5]string{"lundi", "mardi", "mercredi", "jeudi", "vendredi"}
	case inSpanish:
		return [5]string{"lunes", "martes", "miércoles", "jueves", "viernes"}
	case inPortuguese:
		return [5]string{"segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira"}
	case inRussian:
		return [5]string{"понедельника", "вторника", "среды", "четверга", "пятницы"}
	case inJapanese:
		return [5]string{"月曜日", "火曜日", "水曜日", "木曜日", "金曜日"}
	case inChinese:
		return [5]string{"星期一", "星期二", "星期三", "星期四", "星期五"}
	case inArabic:
		return [5]string{"الاثنين", "الثلاثاء", "الأربعاء", "الخميس", "الجمعة"}
	}
	return [5]string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"}
}

// topics are the threads of all languages.
func topics() []topic { return append(englishTopics(), otherTopics()...) }

func otherTopics() []topic {
	return []topic{
		{"Überfällige Rechnung {n}", [][]string{
			{"Guten Morgen {to},", "die Rechnung {n} ist seit dem 20. Februar fällig. Könntest du bitte nachsehen, ob sie bei euch hängen geblieben ist?",
				"Viele Grüße\n{me}"},
			{"Hallo {to},", "sie liegt bei der Freigabe, weil die Bestellnummer fehlt. Ich kläre das bis {day}."},
			{"Danke dir, dann mahne ich noch nicht."},
			{"Freigegeben und überwiesen – 1.240,00 €. Bitte entschuldige die Verzögerung."},
		}, "pdf", inGerman},
		{"Réunion budget : ordre du jour", [][]string{
			{"Bonjour {to},", "voici l’ordre du jour de {day} : point d’étape, prévisions du deuxième trimestre, divers.",
				"N’hésite pas à compléter.", "Cordialement,\n{me}"},
			{"Bonjour,", "je propose d’ajouter le contrat de maintenance n° {n}, qui arrive à échéance en avril."},
			{"C’est noté, merci !"},
		}, "none", inFrench},
		{"Retraso del pedido {n}", [][]string{
			{"Hola {to}:", "el transportista nos avisa de que el pedido {n} no saldrá de Valencia antes del {day}. ¿Puedes hablar tú con el cliente?",
				"Un saludo,\n{me}"},
			{"Ya está hablado. No le hace ninguna gracia, pero si mañana le enviamos una parte, se apaña."},
			{"¡Estupendo, gracias! ¿Y quién paga el segundo porte?"},
			{"Nosotros, como siempre. Lo apunto en la lista de incidencias."},
		}, "csv", inSpanish},
		{"Ata da reunião com o fornecedor", [][]string{
			{"Olá {to},", "segue a ata da reunião. O ponto {n} ficou em aberto: não chegámos a acordo sobre o prazo de pagamento.",
				"Consegues rever até {day}?", "Abraço,\n{me}"},
			{"Revi agora. No ponto três dissemos sessenta dias, não noventa – corrigi e deixei um comentário."},
			{"Tens razão, obrigado. Envio a versão final ainda hoje."},
		}, "docx", inPortuguese},
		{"Акт сверки № {n}", [][]string{
			{"Добрый день, {to}!", "Направляю акт сверки № {n} за февраль. Прошу проверить и вернуть подписанный экземпляр до {day}.",
				"С уважением,\n{me}"},
			{"Здравствуйте!", "У нас расхождение на 4 800 рублей: платёж от 27 февраля в акте не учтён."},
			{"Действительно, банк провёл его только сегодня. Исправленный акт пришлю через час."},
			{"Получили, всё сходится. Подписываем."},
		}, "pdf", inRussian},
		{"在庫確認のお願い（{n}）", [][]string{
			{"{to}さん", "お疲れ様です。型番 {n} の在庫数を{day}までにご確認いただけますか。", "よろしくお願いいたします。\n{me}"},
			{"確認しました。倉庫に48個あります。"},
			{"ありがとうございます。30個を確保してください。"},
		}, "csv", inJapanese},
		{"关于合同 {n} 的修改意见", [][]string{
			{"{to}，你好：", "合同 {n} 的第五条需要修改，付款期限应当是三十天。请在{day}之前回复客户。", "谢谢！\n{me}"},
			{"客户已经同意三十天，但是希望增加违约条款。"},
			{"可以接受。请法务部门今天下午看一下新的文本。"},
			{"法务没有意见，明天可以签字。"},
		}, "none", inChinese},
		{"موعد تسليم المضخات – الطلب {n}", [][]string{
			{"السلام عليكم {to}،", "أرجو تأكيد موعد تسليم الطلب {n} قبل يوم {day}، فالعميل ينتظر الرد منذ أسبوع.", "مع التحية،\n{me}"},
			{"وعليكم السلام،", "الشحنة في الميناء، وننتظر أوراق الجمارك. سأرسل لك رقم التتبع فور وصوله."},
			{"شكراً جزيلاً، سأخبر العميل الآن."},
		}, "txt", inArabic},
	}
}

// notices are the mails that systems send, in all languages.
func notices() []notice {
	return append(englishNotices(), []notice{
		{"Ihre Bestellung {n}", "Vielen Dank für Ihre Bestellung {n}. Wir liefern am {day} zwischen 8 und 12 Uhr.", inGerman},
		{"Votre facture {n} est disponible", "La facture {n} est disponible dans votre espace client. Montant dû : 318,40 €, à régler avant {day}.", inFrench},
		{"Su envío KL-{n} está en camino", "El envío KL-{n} ha salido de nuestro almacén. Llegará el {day} por la mañana.", inSpanish},
		{"O pedido {n} foi atualizado", "Foi acrescentado um comentário ao pedido {n}: \"A peça chegou, o técnico vem na {day}.\"", inPortuguese},
		{"Отчёт о резервном копировании {n}", "Задание {n} завершено с предупреждениями: два файла были заняты.", inRussian},
		{"ご注文の確認（{n}）", "ご注文 {n} を承りました。{day}の午前中にお届けします。", inJapanese},
		{"订单 {n} 已发货", "您的订单 {n} 已经发货，预计{day}送达。", inChinese},
		{"تأكيد الطلب {n}", "نشكركم على طلبكم رقم {n}. سيتم التسليم يوم {day} صباحاً.", inArabic},
	}...)
}
