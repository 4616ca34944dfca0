package status

// tongue is the words of one language that, as a whole message, ask for no more
// messages or for messages again. Words that people also write as an answer to
// something else are left out: Vietnamese "dừng" without its accents is "đúng",
// right; Portuguese "para" is also "for".
type tongue struct {
	code    string // ISO 639-1
	out, in []string
}

// tongues is the built-in words (reliability page §6.19). Case, accents, width,
// punctuation and spaces do not matter.
func tongues() []tongue {
	return []tongue{
		{
			"en",
			[]string{
				"STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT OUT", "REMOVE",
				"REMOVE ME", "UNSUBSCRIBE ME", "STOP MESSAGES", "STOP MESSAGING ME",
			},
			[]string{"START", "UNSTOP", "SUBSCRIBE", "RESUBSCRIBE", "OPTIN", "OPT IN"},
		},
		{
			"hi",
			[]string{"बंद", "बंद करो", "बंद करें", "बंद करिए", "बन्द करो", "बन्द करें", "रोको", "रोकें", "स्टॉप", "सदस्यता समाप्त", "band karo", "band kar do"},
			[]string{"शुरू", "शुरू करो", "शुरू करें", "स्टार्ट", "shuru karo"},
		},
		{
			"es",
			[]string{"PARAR", "PARE", "DETENER", "BAJA", "DARSE DE BAJA", "DARME DE BAJA", "CANCELAR", "ANULAR", "CANCELAR SUSCRIPCIÓN", "NO MÁS MENSAJES"},
			[]string{"INICIAR", "REANUDAR", "SUSCRIBIR", "SUSCRIBIRME"},
		},
		{
			"pt",
			[]string{"PARAR", "PARE", "SAIR", "CANCELAR", "REMOVER", "DESCADASTRAR", "DESCADASTRE", "CANCELAR INSCRIÇÃO", "DESINSCREVER"},
			[]string{"COMEÇAR", "VOLTAR A RECEBER", "INSCREVER", "INICIAR"},
		},
		{
			"fr",
			[]string{"ARRET", "ARRÊT", "ARRETER", "ARRÊTEZ", "DÉSABONNER", "SE DÉSABONNER", "DÉSABONNEMENT", "DÉSINSCRIRE", "DÉSINSCRIPTION", "ANNULER"},
			[]string{"REPRENDRE", "RÉABONNER", "S'ABONNER", "RECOMMENCER"},
		},
		{
			"de",
			[]string{"STOPP", "ABMELDEN", "ABMELDUNG", "ABBESTELLEN", "AUFHÖREN", "AUFHOEREN", "KÜNDIGEN", "ABBRECHEN", "KEINE NACHRICHTEN MEHR"},
			[]string{"ANMELDEN", "STARTEN", "WIEDER ANMELDEN"},
		},
		{
			"it",
			[]string{"FERMA", "BASTA", "CANCELLAMI", "DISISCRIVI", "DISISCRIVIMI", "ANNULLA", "RIMUOVIMI", "CANCELLA ISCRIZIONE"},
			[]string{"INIZIA", "RIPRENDI", "ISCRIVIMI"},
		},
		{"nl", []string{"STOPPEN", "AFMELDEN", "UITSCHRIJVEN", "OPZEGGEN"}, []string{"AANMELDEN", "INSCHRIJVEN"}},
		{"pl", []string{"WYPISZ", "WYPISZ MNIE", "REZYGNUJĘ", "ANULUJ"}, []string{"ZAPISZ", "ZAPISZ MNIE"}},
		{
			"id",
			[]string{"BERHENTI", "HENTIKAN", "BATAL", "BERHENTI BERLANGGANAN", "UNREG"},
			[]string{"MULAI", "BERLANGGANAN"},
		},
		{"tl", []string{"ITIGIL", "TIGIL", "TAMA NA"}, []string{"SIMULAN"}},
		{"sw", []string{"ACHA", "SITISHA", "JIONDOE"}, []string{"ANZA", "JIUNGE"}},
		{"vi", []string{"TỪ CHỐI", "NGỪNG", "HỦY ĐĂNG KÝ", "DỪNG LẠI"}, []string{"BẮT ĐẦU", "ĐĂNG KÝ LẠI"}},
		{
			"tr",
			[]string{"DURDUR", "RET", "İPTAL", "ÇIKIŞ", "ABONELİKTEN ÇIK"},
			[]string{"BAŞLA", "BAŞLAT", "ABONE OL"},
		},
		{
			"ar",
			[]string{"توقف", "إيقاف", "أوقف", "إلغاء", "الغاء", "إلغاء الاشتراك", "قف"},
			[]string{"ابدأ", "اشتراك", "استئناف"},
		},
		{
			"ur",
			[]string{"بند", "بند کرو", "بند کریں", "بند کر دیں", "روکو", "روکیں", "اسٹاپ", "سٹاپ"},
			[]string{"شروع", "شروع کرو", "شروع کریں"},
		},
		{"fa", []string{"لغو", "لغو اشتراک", "متوقف"}, []string{"شروع", "شروع مجدد"}},
		{"he", []string{"הסר", "הסירו", "הסירו אותי", "עצור", "להסרה"}, []string{"התחל", "הצטרף"}},
		{
			"bn",
			[]string{"বন্ধ", "বন্ধ করুন", "বন্ধ করো", "থামুন", "থামাও", "স্টপ"},
			[]string{"শুরু", "শুরু করুন", "শুরু করো"},
		},
		{
			"ta",
			[]string{"நிறுத்து", "நிறுத்தவும்", "நிறுத்துங்கள்", "நிறுத்துக", "ஸ்டாப்"},
			[]string{"தொடங்கு", "தொடங்கவும்", "தொடங்குக"},
		},
		{
			"te",
			[]string{"ఆపు", "ఆపండి", "ఆపేయండి", "నిలిపివేయండి", "స్టాప్"},
			[]string{"ప్రారంభించు", "ప్రారంభించండి"},
		},
		{"mr", []string{"थांबा", "थांबवा", "बंद करा"}, []string{"सुरू", "सुरू करा"}},
		{"gu", []string{"બંધ", "બંધ કરો", "રોકો", "સ્ટોપ"}, []string{"શરૂ", "શરૂ કરો"}},
		{"pa", []string{"ਬੰਦ", "ਬੰਦ ਕਰੋ", "ਰੋਕੋ", "ਸਟਾਪ"}, []string{"ਸ਼ੁਰੂ", "ਸ਼ੁਰੂ ਕਰੋ"}},
		{"kn", []string{"ನಿಲ್ಲಿಸಿ", "ನಿಲ್ಲಿಸು", "ಸ್ಟಾಪ್"}, []string{"ಪ್ರಾರಂಭಿಸಿ"}},
		{"ml", []string{"നിർത്തുക", "നിർത്തൂ", "നിർത്തണം", "സ്റ്റോപ്പ്"}, []string{"തുടങ്ങുക", "ആരംഭിക്കുക"}},
		{
			"ru",
			[]string{"СТОП", "ОТПИСАТЬСЯ", "ОТПИСКА", "ОТПИШИТЕ", "ОТПИСАТЬ", "ХВАТИТ", "ОТМЕНА", "УДАЛИТЬ"},
			[]string{"СТАРТ", "НАЧАТЬ", "ПОДПИСАТЬСЯ", "ВОЗОБНОВИТЬ"},
		},
		{"uk", []string{"ВІДПИСАТИСЯ", "ВІДПИСКА", "СКАСУВАТИ"}, []string{"ПОЧАТИ", "ПІДПИСАТИСЯ"}},
		{"el", []string{"ΣΤΟΠ", "ΔΙΑΚΟΠΗ", "ΔΙΑΓΡΑΦΗ", "ΑΚΥΡΩΣΗ"}, []string{"ΕΝΑΡΞΗ", "ΕΓΓΡΑΦΗ"}},
		{
			"zh",
			[]string{"停止", "停", "退订", "退訂", "取消", "取消订阅", "取消訂閱", "不要再发", "不要再發", "TD"},
			[]string{"开始", "開始", "订阅", "訂閱", "恢复", "恢復"},
		},
		{"ja", []string{"停止", "配信停止", "解除", "配信解除", "中止", "ストップ", "やめて"}, []string{"再開", "スタート"}},
		{"ko", []string{"중지", "수신거부", "수신 거부", "정지", "그만", "스톱"}, []string{"시작", "재개"}},
		{"th", []string{"หยุด", "ยกเลิก", "เลิกรับ"}, []string{"เริ่ม", "เริ่มใหม่"}},
	}
}
